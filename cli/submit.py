"""``hc-batch submit``: files into the queue."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.console import stderr, stdout
from cli.follow import bar, exit_code_for, follow
from cli.options import Number, input_options, paths_argument
from cli.summary import name_skipped, sum_refused
from cli.table import counts_line
from worker.errors import NothingToMeasure
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.intake.discover import Options
    from worker.intake.submit import Intake


@click.command()
@paths_argument
@input_options
@click.option("--wait", is_flag=True, help="Follow the batch to its end.")
@click.option("--timeout", type=Number(min=0), metavar="S", help="With --wait: at most S seconds.")
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
            name_skipped(database, submission.batch)
    if not submission.found:
        raise NothingToMeasure(", ".join(map(str, paths)))
    if not submission.workers_listening:
        stderr.print("no worker listens; the scans wait in the database: hc-batch worker")
    if wait:
        with open_database(settings) as database:
            done = follow(database, submission.batch, timeout)
            sum_refused(database, submission.batch)
        stderr.print(counts_line(done.counts, done.skipped))
        sys.exit(exit_code_for(done))
