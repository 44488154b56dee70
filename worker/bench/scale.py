"""How far workers scale: what is shared is measured, and a queueing model does the rest."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from hcmodel.cores import usable_cores
from worker.bench.alternating import seconds
from worker.bench.processes import busy_s
from worker.bench.queueing import Station, forecast
from worker.bench.ratios import Bench, queued, started_worker
from worker.bench.servers import databases
from worker.result import FileIdentity, Result, Status
from worker.settings import Settings
from worker.store.batches import BatchKind, NewScan, insert_scans, open_batch
from worker.store.claims import claim_next, finish
from worker.store.session import Database, open_database

WORKERS = (1, 4, 16, 64)
CORES_PER_WORKER = 2
IN_HAND = 24
"""Images of a worker that are read ahead or being measured: six batches of the network."""
DRIVE_MB_PER_S = 110.0
"""A shared drive behind one gigabit a second."""
_CLAIMED = 32
STORED = 16
"""Results that a worker stores together, where it is busy."""


@dataclass(frozen=True, slots=True)
class Contention:
    """What simulated workers reached that claim and finish and measure nothing."""

    workers: int
    finishes_per_s: float
    median_ms: float
    slowest_ms: float


@dataclass(frozen=True, slots=True)
class Scaled:
    """A forecast for so many workers; hours are those of a million images."""

    workers: int
    images_per_s: float
    hours: float
    limit: str
    busy_share: float


@dataclass(frozen=True, slots=True)
class Checked:
    """A forecast for workers that share this machine's cores, beside what was measured."""

    workers: int
    forecast_per_s: float
    measured_per_s: float


@dataclass(slots=True)
class Scale:
    """All of it, in the order in which it is measured."""

    bench: Bench
    image_mb: float = 0.3
    contended: list[Contention] = field(default_factory=list)
    processor_s: float = 0.0
    checked: list[Checked] = field(default_factory=list)

    def contention(self, scans: int) -> Iterator[Contention]:
        """Claim and finish ``scans`` with so many workers on PostgreSQL, or SQLite without it."""
        with (
            tempfile.TemporaryDirectory(prefix="hc-bench-") as folder,
            closing(databases(Path(folder))) as found,
        ):
            url = next(found)[1]
            url = next(found, ("", url))[1]  # PostgreSQL where there is one, else SQLite
            for workers in WORKERS:
                each = _contended(url, Path(folder), workers, scans)
                self.contended.append(each)
                yield each

    def local(self) -> Iterator[Checked]:
        """Measure one, two and four workers that share this machine, and forecast the same.

        With them this process shares it, which submits and waits, and Redis, and the kernel: what
        an image costs is all that the machine does meanwhile, so that nothing else should run.
        """
        count = 16 * self.bench.images  # so many that it does not count how the end goes
        for workers in (1, 2, 4):
            settings = self.bench.new_settings()
            with ExitStack() as stack:
                for _ in range(workers):
                    stack.enter_context(started_worker(settings))
                queued(self.bench, settings, 16 * workers)()
                before_s = busy_s()
                taken_s = seconds(queued(self.bench, settings, count))
                used_s = busy_s() - before_s
            if not self.checked:
                self.processor_s = used_s / count
            shared = {"cores": Station(self.processor_s, usable_cores())}
            told = forecast(IN_HAND * workers, 0.0, shared)
            each = Checked(workers, told.images_per_s, count / taken_s)
            self.checked.append(each)
            yield each

    def far(self) -> Iterator[Scaled]:
        """Forecast workers of two cores each with one database and one drive."""
        database_s = 1 / max(each.finishes_per_s for each in self.contended)
        stations = {
            "database": Station(database_s),
            "drive": Station(self.image_mb / DRIVE_MB_PER_S),
        }
        think_s = IN_HAND * self.processor_s / CORES_PER_WORKER
        for workers in WORKERS:
            told = forecast(IN_HAND * workers, think_s, stations)
            own = workers * CORES_PER_WORKER / self.processor_s
            is_shared = told.images_per_s < 0.9 * own
            yield Scaled(
                workers,
                told.images_per_s,
                1e6 / told.images_per_s / 3600,
                told.limit if is_shared else "workers",
                told.busy[told.limit],
            )


def _contended(url: str, folder: Path, workers: int, scans: int) -> Contention:
    settings = Settings.from_environment({"HC_DATA_DIR": str(folder), "HC_DATABASE_URL": url})
    times_ms: list[float] = []
    lock = threading.Lock()
    with open_database(settings) as database:
        batch = open_batch(database, BatchKind.RUN, f"scale {workers}", "scale")
        new = [NewScan(f"{number}.png") for number in range(scans)]
        for start in range(0, scans, 5000):
            insert_scans(database, batch, new[start:][:5000], published=False)

        def work(number: int) -> None:
            taken = _worked(database, batch, f"scale:{workers}:{number}")
            with lock:
                times_ms.extend(taken)

        begun_s = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, range(workers)))
        elapsed_s = time.perf_counter() - begun_s
    tail = statistics.quantiles(times_ms, n=20)[-1]
    return Contention(workers, scans / elapsed_s, statistics.median(times_ms), tail)


def _worked(database: Database, batch: str, owner: str) -> list[float]:
    """Claim and finish until nothing is left; return milliseconds of each finished group."""
    taken_ms = []
    while claims := claim_next(database, batch, owner, lease_s=600, limit=_CLAIMED):
        for start in range(0, len(claims), STORED):
            ended = [
                (
                    claimed,
                    Result(
                        Status.REJECTED,
                        "scale",
                        code="no-head",
                        file=FileIdentity(sha256=f"{claimed.scan_id:064x}"),
                    ),
                )
                for claimed in claims[start:][:STORED]
            ]
            begun_s = time.perf_counter()
            finish(database, ended)
            taken_ms.append(1000 * (time.perf_counter() - begun_s))
    return taken_ms
