"""``hc-batch submit``: files into the queue."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.console import stderr, stdout
from cli.follow import bar, follow
from cli.main import exit_code_for
from cli.options import input_options, paths_argument
from cli.table import counts_line
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.intake.discover import Options
    from worker.intake.submit import Intake
    from worker.store.session import Database

NAMED = 20


@click.command()
@paths_argument
@input_options
@click.option("--wait", is_flag=True, help="Follow the batch to its end.")
@click.option(
    "--timeout", type=click.FloatRange(min=0), metavar="S", help="With --wait: at most S seconds."
)
def command(paths: tuple[Path, ...], options: Options, wait: bool, timeout: float | None) -> None:
    """Queue files for the workers.

    Prints the batch's name. Interrupted, the same command goes on without doubles. Where no worker
    listens the rows are kept, and the next worker takes them up.

    Example: hc-batch submit ~/scans --wait
    """
    # Load SQLAlchemy and Celery: not for those who only ask for help.
    from worker.intake.submit import submit
    from worker.store.session import open_database

    settings = Settings.from_environment()
    with bar() as progress_bar:
        task = progress_bar.add_task("submitting", total=None)

        def update(intake: Intake) -> None:
            progress_bar.update(task, completed=intake.found)

        submission = submit(settings, paths, options, update)
    stdout.print(submission.batch)
    again = submission.found - submission.new
    of_these = f" ({again} of them queued before)" if again else ""
    stderr.print(f"{submission.found} scans{of_these}, {submission.skipped} files skipped")
    if submission.skipped:
        with open_database(settings) as database:
            _name_skipped(database, submission.batch)
    if not submission.workers_listening:
        stderr.print("no worker listens; the scans wait in the database: hc-batch worker")
    if wait:
        with open_database(settings) as database:
            done = follow(database, submission.batch, timeout)
        stderr.print(counts_line(done.counts, done.skipped))
        sys.exit(exit_code_for(done))


def _name_skipped(database: Database, batch: str) -> None:
    """Name the first of them: an archive may hold thousands."""
    from worker.store.progress import progress, skipped_files

    for file in skipped_files(database, batch, NAMED):
        stderr.print(f"skipped: {file.source} ({file.code}: {file.reason})", markup=False)
    more = progress(database, batch).skipped - NAMED
    if more > 0:
        stderr.print(f"and {more} more: hc-batch status {batch} --skipped")
