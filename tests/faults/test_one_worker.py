"""One worker on SQLite, and what befalls it."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid

from rig.plant import Plant, StartWorker
from worker.intake.submit import submit
from worker.result import Status
from worker.settings import Settings
from worker.store.filter import Filter
from worker.store.progress import counts, latest_batches
from worker.store.rows import select_rows

MANY = 48
GROWN_BYTES = 4 << 30
MOVING = ("--after", "move", "--interval", "0.2", "--settle", "0.2")


@pytest.fixture(scope="module")
def plant(sqlite_plant: Plant, start_worker: StartWorker) -> Plant:
    """With a worker that has its network loaded."""
    start_worker(sqlite_plant)
    sqlite_plant.check(sqlite_plant.submit(1), 1)
    return sqlite_plant


def test_flushall(plant: Plant) -> None:
    """Given a batch in its middle, when all keys of Redis are deleted, then it ends complete."""
    batch = plant.submit(MANY)
    plant.await_middle(batch)
    plant.redis.flush()
    plant.check(batch, MANY, attempts=1)


def test_redis_killed(plant: Plant) -> None:
    """Given a batch in its middle, when Redis is killed and comes back empty, then it ends."""
    batch = plant.submit(MANY)
    plant.await_middle(batch)
    plant.redis.kill()
    time.sleep(1)
    plant.redis.start()
    plant.check(batch, MANY, attempts=1)


def test_sqlite_locked(plant: Plant) -> None:
    """Given a batch in its middle, when another holds SQLite longer than a lease, then it ends."""
    batch = plant.submit(MANY)
    plant.await_middle(batch)
    with plant.database.writing():
        time.sleep(plant.settings.lease_s + 1)
    plant.check(batch, MANY)


def test_pool_child_killed(plant: Plant) -> None:
    """Given a batch in its middle, when the process that measures is killed, then it ends."""
    batch = plant.submit(MANY)
    plant.await_middle(batch)
    os.kill(plant.working_pid(), signal.SIGKILL)
    plant.check(batch, MANY)


def test_a_file_that_segfaults_its_reader_ends_alone(plant: Plant) -> None:
    """Given a chunk of 32 files, when one segfaults its decoder, then 31 are measured."""
    plant.arm("reading")
    batch = submit(whole(plant), [plant.images(32)]).batch
    plant.check(batch, 32, failed=1, attempts=1)
    assert plant.fired("reading")
    (died,) = select_rows(plant.database, Filter(batch, statuses=(Status.FAILED,)))
    assert died.code == "crashed-worker"
    assert "SIGSEGV" in (died.message or "")


def test_a_file_that_eats_memory_ends_alone(plant: Plant) -> None:
    """Given a chunk of 32 files, when one grows to gigabytes in memory, then 31 are measured."""
    images: Path = plant.images(31)
    write_bomb(images / "bomb.dcm")
    batch = submit(whole(plant), [images]).batch
    plant.check(batch, 32, rejected=1, attempts=1)
    (bomb,) = select_rows(plant.database, Filter(batch, statuses=(Status.REJECTED,)))
    assert bomb.code == "too-large"


@pytest.mark.parametrize(
    "failpoint", ["after-insert", "after-publish", "between-moves", "after-move"]
)
def test_watcher_dies_at(plant: Plant, failpoint: str) -> None:
    """Given files that a watcher moves, when it dies at this point, then the next one goes on."""
    inbox: Path = plant.images(6)
    for image in inbox.iterdir():
        image.with_suffix(".json").write_text('{"pixel_size_mm": 0.2}')
    plant.arm(failpoint)
    died = plant.start("watch", str(inbox), *MOVING)
    assert died.wait(90) == -signal.SIGKILL
    watch_until_moved(plant, inbox, 6)


def test_two_watchers(plant: Plant) -> None:
    """Given one folder, when two watchers take and move its files, then nothing is doubled."""
    inbox: Path = plant.images(24)
    for image in inbox.iterdir():
        image.with_suffix(".json").write_text('{"pixel_size_mm": 0.2}')
    watch_until_moved(plant, inbox, 24, watchers=2)


def watch_until_moved(plant: Plant, inbox: Path, count: int, watchers: int = 1) -> None:
    """Until all images are measured, and lie in done/ with their sidecars."""
    running = [plant.start("watch", str(inbox), *MOVING) for _ in range(watchers)]
    done = inbox / "done"
    try:
        plant.until(lambda: done.is_dir() and len(list(done.iterdir())) == 2 * count)
    finally:
        for watcher in running:
            watcher.kill()
            watcher.wait()
    assert {each.name for each in inbox.iterdir()} == {"done"}
    (batch,) = [each.batch for each in latest_batches(plant.database) if each.label == str(inbox)]
    plant.check(batch, count, attempts=1)


@pytest.mark.parametrize("failpoint", ["after-claim", "before-commit", "before-ack"])
def test_worker_dies_at(plant: Plant, failpoint: str) -> None:
    """Given a batch, when the process that measures dies at this point, then it ends complete."""
    plant.arm(failpoint)
    batch = plant.submit(12)
    plant.until(lambda: plant.fired(failpoint))
    plant.check(batch, 12)


@pytest.mark.parametrize("failpoint", ["after-insert", "after-publish"])
def test_submitter_dies_at(plant: Plant, failpoint: str) -> None:
    """Given a submitter that dies at this point, when typed again, then nothing is doubled."""
    images: Path = plant.images(6)
    plant.arm(failpoint)
    command = [Path(sys.executable).with_name("hc-batch"), "submit", images]
    died = subprocess.run(command, env=plant.environment, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL
    batch = latest_batches(plant.database)[0].batch
    assert sum(counts(plant.database, batch).values()) == 6
    again = submit(plant.settings, [images])
    assert (again.batch, again.new) == (batch, 0)
    plant.check(batch, 6)


def whole(plant: Plant) -> Settings:
    """Settings for a submission of one message."""
    return replace(plant.settings, chunk_size=32)


def write_bomb(path: Path) -> None:
    """A deflated DICOM file of some megabytes that grows to gigabytes."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.SOPClassUID = UltrasoundImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.save_as(path, enforce_file_format=True)
    deflate = zlib.compressobj(9, wbits=-15)
    # A fully flushed block stands alone, so it may be repeated instead of compressed again.
    megabyte = deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    data = path.read_bytes()
    (header_bytes,) = struct.unpack("<L", data[140:144])
    path.write_bytes(data[: 144 + header_bytes] + megabyte * (GROWN_BYTES >> 20))


def test_nothing_is_left(plant: Plant) -> None:
    """Given all those faults, when they are over, then no scan of any batch waits or is held."""
    found = counts(plant.database)
    assert found[Status.QUEUED] == found[Status.RUNNING] == 0
