"""A watcher in a thread, and what it left in ledger and folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.intake.discover import Options
from worker.intake.submit import Intake
from worker.settings import Settings
from worker.store.rows import select_rows
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
