"""One worker on SQLite that runs out of time, and one that runs out of disk."""

from __future__ import annotations

import errno
import os
import signal
import time
from pathlib import Path

from rig.plant import Plant, StartWorker

MANY = 48
LIMIT_S = 20


def test_a_task_beyond_all_its_limits(sqlite_plant: Plant, start_worker: StartWorker) -> None:
    """Given a batch in its middle, when its process hangs, then it is told so, and the batch ends.

    It hangs for longer than a chunk may take, and than Redis waits before it delivers it again.
    """
    worker = start_worker(sqlite_plant, HC_CHUNK_LIMIT_S=str(LIMIT_S), HC_VISIBILITY_TIMEOUT_S="5")
    sqlite_plant.check(sqlite_plant.submit(1), 1)
    batch = sqlite_plant.submit(MANY)
    sqlite_plant.await_middle(batch)
    hanging = sqlite_plant.working_pid()
    os.kill(hanging, signal.SIGSTOP)
    time.sleep(LIMIT_S + 1)
    os.kill(hanging, signal.SIGCONT)
    sqlite_plant.check(batch, MANY)
    assert worker.says("Soft time limit")
    sqlite_plant.check(sqlite_plant.submit(8), 8, attempts=1)


def test_disk_full(small_disk: Path, small_disk_plant: Plant, start_worker: StartWorker) -> None:
    """Given a batch in its middle, when the ledger's disk is full, then it ends when it is not."""
    worker = start_worker(small_disk_plant)
    small_disk_plant.check(small_disk_plant.submit(1), 1)
    batch = small_disk_plant.submit(MANY)
    small_disk_plant.await_middle(batch)
    ballast = small_disk / "ballast"
    fill(ballast)
    small_disk_plant.until(lambda: worker.says("is full"))
    ballast.unlink()
    small_disk_plant.check(batch, MANY)


def fill(ballast: Path) -> None:
    """Takes all that is left of a disk."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC
