"""What the queue costs and how soon it recovers, against real servers, in one run."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from worker.bench.processes import peak_mb
from worker.bench.ratios import started_worker
from worker.bench.servers import Figure, databases
from worker.intake.submit import Intake, submit
from worker.queue.broker import serving
from worker.queue.redis_client import connect
from worker.sample_files import write_series
from worker.settings import Settings
from worker.store.batches import FINAL
from worker.store.progress import counts, wait
from worker.store.session import open_database

_WARM_UP = 70_000  # files, after which more of them should need no more memory
_LIMIT_S = 300.0  # by then a worker is not slow but stuck
_KILLED_AFTER = 8  # scans: the worker is busy then, and most of the batch is left


def bench_queue(folder: Path, files: int, images: int) -> Iterator[Figure]:
    """Submit ``files``, measure ``images``; yield lines as they are known."""
    many = _many_files(folder / "many", files)
    for name, url in databases(folder):
        yield from _submitted(name, folder / name, url, many, files)
    first_s, last_s = _recovery_s(folder / "killed", images)
    yield Figure("worker killed, next scan ended after", first_s, "s")
    yield Figure("worker killed, batch ended after", last_s, "s")


def _many_files(folder: Path, files: int) -> Path:
    """Folder with one phantom under many names."""
    (first,) = write_series(folder / "first", 1, seed=2)
    linked = first
    for number in range(1, files):
        # Into folders of a thousand, as an archive would have them.
        part = folder / f"{number // 1000:04}"
        target = part / f"{number:07}.dcm"
        if part.exists():
            os.link(linked, target)
        else:  # a copy for each: file systems allow some 65,000 links to one file
            part.mkdir()
            linked = Path(shutil.copy(first, target))
    return folder


def _submitted(name: str, data_dir: Path, url: str, many: Path, files: int) -> Iterator[Figure]:
    """Files into the ledger and to Redis: how many in a second, and what they take of memory."""
    settings = Settings.from_environment({"HC_DATA_DIR": str(data_dir), "HC_DATABASE_URL": url})
    warm_mb = []

    def tell(intake: Intake) -> None:
        if intake.found >= _WARM_UP:
            warm_mb.append(peak_mb())

    with open_database(settings), serving(settings) as broker_url, connect(broker_url) as client:
        before = int(client.info("memory")["used_memory"])
        begun_s = time.perf_counter()
        assert submit(settings, [many], on_progress=tell).new == files
        elapsed_s = time.perf_counter() - begun_s
        grown = int(client.info("memory")["used_memory"]) - before
    yield Figure(f"submitted, {name}", files / elapsed_s, "files/s")
    if warm_mb:
        yield Figure(f"{name}, memory beyond {_WARM_UP} files", warm_mb[-1] - warm_mb[0], "MB")
    yield Figure(f"{name}, Redis", grown / files, "bytes per file")


def _recovery_s(folder: Path, images: int) -> tuple[float, float]:
    """Seconds from the kill of a busy worker to the next end of a scan, and to the last one.

    A new worker is started at once, as a supervisor would.
    """
    settings = Settings.from_environment({"HC_DATA_DIR": str(folder)})
    first = write_series(folder / "first", 1, seed=3)
    files = write_series(folder / "files", images, seed=4)

    def ended() -> int:
        by_state = counts(database, batch)
        return sum(by_state[status] for status in FINAL)

    with open_database(settings) as database:
        with started_worker(settings) as worker:
            wait(database, submit(settings, first).batch, _LIMIT_S)
            batch = submit(settings, files).batch
            while ended() < _KILLED_AFTER:
                time.sleep(0.01)
            os.killpg(worker.pid, signal.SIGKILL)
            killed_s = time.perf_counter()
        before = ended()
        assert before < images, "it was over before the kill"
        with started_worker(settings):
            while ended() == before:
                time.sleep(0.05)
            first_s = time.perf_counter() - killed_s
            assert wait(database, batch, _LIMIT_S).finished
            return first_s, time.perf_counter() - killed_s
