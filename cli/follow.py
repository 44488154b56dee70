"""Follow a batch to its end with a progress bar, and say how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.console import stderr
from cli.exit_codes import EXIT_NOT_FINISHED, EXIT_OK, EXIT_SOME_REFUSED
from worker.result import Status

if TYPE_CHECKING:
    from worker.store.progress import Progress as BatchProgress
    from worker.store.session import Database


def bar() -> Progress:
    """Return a bar on standard error; nothing where no terminal looks on."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=stderr,
        transient=True,
        disable=not stderr.is_terminal,
    )


def follow(database: Database, batch: str, timeout_s: float | None = None) -> BatchProgress:
    """Wait until the batch is finished or the time is over. Raises ``BatchUnknown``."""
    # Loads SQLAlchemy: not for those who only ask a command for help.
    from worker.store.progress import wait

    with bar() as progress_bar:
        task = progress_bar.add_task(f"batch {batch}", total=None)

        def update(present: BatchProgress) -> None:
            done = present.total - present.pending
            progress_bar.update(task, total=present.total, completed=done)

        return wait(database, batch, timeout_s, update)


def exit_code_for(progress: BatchProgress) -> int:
    """Return the exit code of a batch that was followed to its end, or given up."""
    if not progress.finished:
        return EXIT_NOT_FINISHED
    refused = progress.counts[Status.REJECTED] + progress.counts[Status.FAILED]
    return EXIT_SOME_REFUSED if refused else EXIT_OK
