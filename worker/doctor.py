"""Whether all that the product relies on is there, and what to do where it is not."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from sqlalchemy import select

from worker.errors import HcBatchError, SchemaOutdated, ServiceUnavailable
from worker.measuring.weights import verify_weights
from worker.queue.broker import reachable_url
from worker.queue.publisher import reachable_publisher
from worker.settings import Settings
from worker.store import schema
from worker.store.clock import now
from worker.store.database_errors import translated
from worker.store.session import Database, make_engine

MAX_CLOCK_DIFFERENCE_S = 5.0  # leases go by the database's clock; logs are hard to join beyond
MIN_FREE_BYTES = 2 * 1024**3  # some million rows and a log

_NOTHING_YET = "nothing yet, the first command makes it"
_RECONCILED_ROUNDS = 6  # without an answer: one is no news on a busy machine
_GPU_ANSWER_S = 10.0  # a driver that loads takes seconds


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; ``remedy`` is None where all is well."""

    about: str
    text: str
    remedy: str | None = None
    unreachable: bool = False


def examine(settings: Settings) -> Iterator[Finding]:
    """Check one thing after the other; yield each finding as soon as it is known."""
    path = settings.sqlite_path
    is_first_day = path is not None and not path.exists()
    opened = cache(lambda: Database(make_engine(settings.database_url)))

    def of_database(check: Callable[[Database], str]) -> Callable[[], str]:
        # Connecting would make SQLite's file: that is left to who stores something.
        return lambda: _NOTHING_YET if is_first_day else check(opened())

    try:
        for about, check in (
            ("database", of_database(lambda database: _database(database, settings))),
            ("schema", of_database(_schema)),
            ("clock", of_database(_clock)),
            ("broker", lambda: _broker(settings)),
            ("workers", lambda: _workers(settings)),
            ("weights", lambda: _weights(settings)),
            ("disk", lambda: _disk(settings.data_dir)),
            ("gpu", _gpu),
        ):
            yield _finding(about, check)
    finally:
        if opened.cache_info().currsize:
            opened().close()


class _Unwell(Exception):
    """What is wrong, and what to type."""

    def __init__(self, text: str, remedy: str) -> None:
        super().__init__(text)
        self.text = text
        self.remedy = remedy


def _finding(about: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(about, check())
    except _Unwell as error:
        return Finding(about, error.text, error.remedy)
    except HcBatchError as error:
        return Finding(about, error.cause, error.remedy, isinstance(error, ServiceUnavailable))


def _database(database: Database, settings: Settings) -> str:
    with database.reading() as connection:
        connection.execute(select(1))
    return settings.database_name


def _schema(database: Database) -> str:
    with translated():
        state = schema.check(database.engine)
    if state.is_empty:
        return _NOTHING_YET
    if not state.current:
        difference = f"; {state.drift[0]}" if state.drift else ""
        found = state.revision or "tables without a revision"
        raise SchemaOutdated(f"found {found}, need {state.head}{difference}")
    return f"revision {state.revision}"


def _clock(database: Database) -> str:
    with database.reading() as connection:
        theirs = connection.scalar(select(now()))
    assert theirs is not None
    difference_s = (theirs - datetime.now(UTC)).total_seconds()
    text = f"{abs(difference_s):.1f} s from the database's"
    if abs(difference_s) > MAX_CLOCK_DIFFERENCE_S:
        raise _Unwell(text, "Set both clocks by NTP: timedatectl set-ntp true")
    return text


def _broker(settings: Settings) -> str:
    running = reachable_url(settings) is not None
    return settings.broker_name + ("" if running else "; the first worker starts it")


def _workers(settings: Settings) -> str:
    with reachable_publisher(settings) as publisher:
        count = 0 if publisher is None else publisher.count_workers()
        since_s = None if publisher is None else publisher.since_reconciled_s()
    if not count:
        raise _Unwell("no worker listens", "Start one: hc-batch worker")
    compared = "never" if since_s is None else f"{since_s:.0f} s ago"
    text = f"{count} listening; ledger and broker last compared {compared}"
    if since_s is not None and since_s > _RECONCILED_ROUNDS * max(settings.reconcile_s, 10):
        raise _Unwell(text, "See the worker's log for what hinders it.")
    return text


def _weights(settings: Settings) -> str:
    return verify_weights(settings).model


def _disk(folder: Path) -> str:
    present = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(present).free
    text = f"{free / 1024**3:.1f} GiB free in {present}"
    if free < MIN_FREE_BYTES:
        raise _Unwell(text, "Make room there, or set HC_DATA_DIR to another disk.")
    return text


def _gpu() -> str:
    """By NVIDIA's own tools: TensorFlow would take the GPU's memory, and seconds."""
    driver = Path("/proc/driver/nvidia/gpus")
    installed = driver.is_dir() and any(driver.iterdir())
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=True,
            timeout=_GPU_ANSWER_S,
        )
        return ", ".join(listed.stdout.split("\n")).strip(", ")
    except FileNotFoundError:
        return "found by its driver" if installed else "none; the processor measures"
    except (OSError, subprocess.SubprocessError):
        raise _Unwell("the driver does not answer", "See what is wrong: nvidia-smi") from None
