"""Two workers on SQLite that are stopped while their Redis says nothing."""

from __future__ import annotations

import signal
import time

from rig.plant import Plant, StartWorker
from worker.result import Status
from worker.store.progress import counts
from worker.store.recovery import present_owners

MANY = 48
GRACE_S = 30  # after which supervisors kill: docs/systemd, docker/compose.yaml
SLOW_S = 60  # more, for a machine with much else to do


def test_workers_end_without_redis(sqlite_plant: Plant, start_worker: StartWorker) -> None:
    """Given a batch in its middle, when Redis goes deaf, then each ends when it is told."""
    workers = [start_worker(sqlite_plant), start_worker(sqlite_plant)]
    sqlite_plant.check(sqlite_plant.submit(8), 8)
    sqlite_plant.until(lambda: all(each.says(" ready.") for each in workers))
    sqlite_plant.await_middle(sqlite_plant.submit(MANY))
    assert sqlite_plant.redis.process is not None
    sqlite_plant.redis.process.send_signal(signal.SIGSTOP)
    begun_s = time.monotonic()
    for each in workers:
        each.process.send_signal(signal.SIGTERM)
    assert [each.process.wait(GRACE_S + SLOW_S) for each in workers] == [0, 0]
    took_s = time.monotonic() - begun_s
    assert present_owners(sqlite_plant.database) == []
    assert counts(sqlite_plant.database)[Status.RUNNING] == 0
    assert took_s < GRACE_S + SLOW_S / 2
    sqlite_plant.redis.kill()
    sqlite_plant.redis.start()
