"""One worker on SQLite, and what befalls it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from worker.intake.submit import submit
from worker.result import Status
from worker.store.progress import counts, latest_batches

MANY = 48


@pytest.fixture(scope="module")
def plant(sqlite_plant: Any, start_worker: Callable[..., Any]) -> Any:
    """With a worker that has its network loaded."""
    start_worker(sqlite_plant)
    sqlite_plant.check(sqlite_plant.submit(1), 1)
    return sqlite_plant


def test_flushall(plant: Any) -> None:
    """Given a batch in its middle, when all keys of Redis are deleted, then it ends complete."""
    batch = plant.submit(MANY)
    plant.await_middle(batch)
    plant.redis.flush()
    plant.check(batch, MANY, attempts=1)


def test_redis_killed(plant: Any) -> None:
    """Given a batch in its middle, when Redis is killed and comes back empty, then it ends."""
    batch = plant.submit(MANY)
    plant.await_middle(batch)
    plant.redis.kill()
    time.sleep(1)
    plant.redis.start()
    plant.check(batch, MANY, attempts=1)


def test_sqlite_locked(plant: Any) -> None:
    """Given a batch in its middle, when another holds SQLite longer than a lease, then it ends."""
    batch = plant.submit(MANY)
    plant.await_middle(batch)
    with plant.database.writing():
        time.sleep(plant.settings.lease_s + 1)
    plant.check(batch, MANY)


def test_pool_child_killed(plant: Any) -> None:
    """Given a batch in its middle, when the process that measures is killed, then it ends."""
    batch = plant.submit(MANY)
    plant.await_middle(batch)
    os.kill(plant.working_pid(), signal.SIGKILL)
    plant.check(batch, MANY)


def test_a_file_that_kills_its_reader_ends_alone(plant: Any) -> None:
    """Given 32 files, when one kills the process that reads it, then 31 are measured."""
    plant.arm("reading")
    plant.check(plant.submit(32), 32, failed=1)
    assert plant.fired("reading")


@pytest.mark.parametrize("failpoint", ["after-claim", "before-commit", "before-ack"])
def test_worker_dies_at(plant: Any, failpoint: str) -> None:
    """Given a batch, when the process that measures dies at this point, then it ends complete."""
    plant.arm(failpoint)
    plant.check(plant.submit(12), 12)
    assert plant.fired(failpoint)


@pytest.mark.parametrize("failpoint", ["after-insert", "after-publish"])
def test_submitter_dies_at(plant: Any, failpoint: str) -> None:
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


def test_nothing_is_left(plant: Any) -> None:
    """Given all those faults, when they are over, then no scan of any batch waits or is held."""
    found = counts(plant.database)
    assert found[Status.QUEUED] == found[Status.RUNNING] == found[Status.REJECTED] == 0
