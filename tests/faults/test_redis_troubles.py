"""One worker on SQLite, and a Redis that answers with refusals for a while."""

from __future__ import annotations

import time

import pytest

from rig.plant import Plant, StartWorker, WorkerProcess
from worker.queue.redis_client import connect

MANY = 32
TROUBLES = {
    "out of memory": (("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")),
    "a replica": (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    "another password": (
        ("CONFIG", "SET", "requirepass", "other"),
        ("CONFIG", "SET", "requirepass", ""),
    ),
}


@pytest.fixture(scope="module")
def worker(sqlite_plant: Plant, start_worker: StartWorker) -> WorkerProcess:
    """With its network loaded."""
    worker = start_worker(sqlite_plant)
    sqlite_plant.check(sqlite_plant.submit(1), 1)
    return worker


@pytest.mark.parametrize("trouble", TROUBLES)
def test_redis_refuses_for_a_while(
    sqlite_plant: Plant, worker: WorkerProcess, trouble: str
) -> None:
    """Given a batch in its middle, when Redis refuses, then it and the next one end."""
    begin, end = TROUBLES[trouble]
    batch = sqlite_plant.submit(MANY)
    sqlite_plant.await_middle(batch)
    with connect(sqlite_plant.redis.url) as client:
        client.execute_command(*begin)
        client.client_kill_filter(_type="normal", skipme=True)
        time.sleep(4)
        client.execute_command(*end)
    sqlite_plant.check(batch, MANY, attempts=1)
    sqlite_plant.check(sqlite_plant.submit(4), 4, attempts=1)
    assert worker.process.poll() is None
