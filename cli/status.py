"""``hc-batch status``: how far batches have come."""

from __future__ import annotations

import sys
from typing import NoReturn

import click
from rich.table import Table

from cli.console import stderr, stdout
from cli.exit_codes import EXIT_OK
from cli.follow import exit_code_for, follow
from cli.summary import sum_refused
from cli.table import counts_line, duration
from worker.settings import Settings
from worker.store.batches import find_batch
from worker.store.progress import (
    Progress,
    latest_batches,
    progress,
    skipped_files,
    waits_for_workers,
)
from worker.store.session import Database, open_database


@click.command()
@click.argument("batch", required=False)
@click.option("--skipped", is_flag=True, help="Also list the batch's skipped files.")
@click.option("--follow", "followed", is_flag=True, help="Wait for the batch's end.")
def command(batch: str | None, skipped: bool, followed: bool) -> None:
    """Count scans by state; show rate and remaining time.

    BATCH is a name, the beginning of one, or last. Without: the newest batches, then all scans
    together; with --follow the newest batch. The exit code of --follow is that of submit --wait.

    Example: hc-batch status last
    """
    settings = Settings.from_environment()
    with open_database(settings) as database:
        batch = None if batch is None else find_batch(database, batch)
        if followed:
            _follow(database, settings, batch)
        if batch is None:
            stdout.print(_newest(database))
        heard = _heard(database, settings, batch)
        stdout.print(_summary(progress(database, batch), heard))
        if skipped and batch is not None:
            for file in skipped_files(database, batch):
                stdout.print(f"skipped: {file.source} ({file.code}: {file.reason})")
        _warn_of_silence(heard)


def _newest(database: Database) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("batch", "kind", "created (UTC)", "scans", "from"):
        table.add_column(heading, overflow="fold")
    for line in latest_batches(database):
        created = f"{line.created_at:%Y-%m-%d %H:%M}"
        table.add_row(line.batch, line.kind, created, counts_line(line.counts), line.label)
    return table


def _follow(database: Database, settings: Settings, batch: str | None) -> NoReturn:
    """End the command with the batch, or the newest one."""
    if batch is None:
        newest = latest_batches(database, limit=1)
        if not newest:
            stdout.print("nothing yet")
            sys.exit(EXIT_OK)
        batch = newest[0].batch
    heard = _heard(database, settings, batch)
    _warn_of_silence(heard)
    done = follow(database, batch)
    sum_refused(database, batch)
    stdout.print(_summary(done, heard))
    sys.exit(exit_code_for(done))


def _heard(database: Database, settings: Settings, batch: str | None) -> bool:
    """Return whether somebody measures what is pending: a worker, or a ``run`` its own batch."""
    if not waits_for_workers(database, batch):
        return True
    # Loads Celery, which takes longer than counting; where nothing waits it is not needed.
    from worker.queue.publisher import workers_listening

    return workers_listening(settings)


def _warn_of_silence(heard: bool) -> None:
    if not heard:
        stderr.print("no worker listens: start one with hc-batch worker")


def _summary(present: Progress, heard: bool) -> str:
    name = present.batch or "all"
    line = f"{name}: {counts_line(present.counts, present.skipped)}"
    if heard and present.pending and present.rate_per_s:
        line += f"; {present.rate_per_s:.1f} scans/s, {duration(present.remaining_s)} left"
    return line
