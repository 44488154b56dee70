"""A watcher in a thread, and what it left in ledger and folder."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rig.ending import finish
from worker.intake.discover import Options
from worker.intake.submit import Intake
from worker.result import FileIdentity, Result, Status
from worker.settings import Settings
from worker.store.claims import claim
from worker.store.rows import ReportRow, select_rows
from worker.store.session import Database
from worker.watching.stability import WatchOptions
from worker.watching.watch import watch

PNG = b"\x89PNG\r\n\x1a\n"
QUICK = WatchOptions(interval_s=0.1, settle_s=0.3)


@contextmanager
def watching(settings: Settings, *roots: Path, how: WatchOptions = QUICK) -> Iterator[list[Intake]]:
    """Watch during the block; what is reported, as it comes."""
    stop = threading.Event()
    steps: list[Intake] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            watch(settings, roots, Options(), how, stop, steps.append)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield steps
    finally:
        stop.set()
        thread.join()
        assert failed == []


def sources(database: Database) -> list[str]:
    """Names of the files that have rows, once for each row."""
    return sorted(Path(row.source).name for row in select_rows(database))


def files(root: Path) -> list[str]:
    """Relative paths of all files below the root."""
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def newest(database: Database, name: str) -> ReportRow:
    """The newest row of a file of this name."""
    of_name = [row for row in select_rows(database) if Path(row.source).name == name]
    return max(of_name, key=lambda row: row.scan_id)


def end(
    database: Database, name: str, code: str | None = None, content: bytes | None = None
) -> None:
    """End the newest scan of that file as a worker does; a file that is measured has a hash."""
    scan_id = newest(database, name).scan_id
    (claimed,) = claim(database, [scan_id], "test", lease_s=60)
    status = Status.REJECTED if code else Status.MEASURED
    sha256 = f"{scan_id:064x}" if content is None else hashlib.sha256(content).hexdigest()
    result = Result(status, "m", code=code, file=FileIdentity(sha256=None if code else sha256))
    assert finish(database, claimed, result) is status
