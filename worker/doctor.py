"""Whether all that the product relies on is there, and what to do where it is not."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from worker.errors import HcBatchError, SchemaOutdated, ServiceUnavailable
from worker.measuring.instrument import verify_weights
from worker.queue.broker import reachable_url
from worker.queue.publisher import workers_listening
from worker.settings import Settings
from worker.store import schema
from worker.store.clock import now
from worker.store.session import Database, make_engine, translated

MAX_CLOCK_DIFFERENCE_S = 5.0  # leases go by the database's clock; logs are hard to join beyond
MIN_FREE_BYTES = 2 * 1024**3  # some million rows and a log

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
    database = Database(make_engine(settings.database_url))
    try:
        for about, check in (
            ("database", lambda: _database(database, settings)),
            ("schema", lambda: _schema(database)),
            ("clock", lambda: _clock(database)),
            ("broker", lambda: _broker(settings)),
            ("workers", lambda: _workers(settings)),
            ("weights", lambda: _weights(settings)),
            ("disk", lambda: _disk(settings.data_dir)),
            ("gpu", _gpu),
        ):
            yield _finding(about, check)
    finally:
        database.close()


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
    if not state.current:
        raise SchemaOutdated(f"found {state.revision or 'no tables'}, need {state.head}")
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
    if not workers_listening(settings):
        raise _Unwell("no worker listens", "Start one: hc-batch worker")
    return "listening"


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
