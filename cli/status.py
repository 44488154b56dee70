"""``hc-batch status``: how far batches have come."""

from __future__ import annotations

import sys
from typing import NoReturn

import click
from rich.table import Table

from cli.console import stderr, stdout
from cli.follow import follow
from cli.main import EXIT_OK, exit_code_for
from cli.table import counts_line, duration
from worker.settings import Settings
from worker.store.progress import Progress, latest_batches, progress, skipped_files
from worker.store.session import Database, open_database


@click.command()
@click.argument("batch", required=False)
@click.option("--skipped", is_flag=True, help="Also list the batch's skipped files.")
@click.option("--follow", "followed", is_flag=True, help="Wait for the batch's end.")
def command(batch: str | None, skipped: bool, followed: bool) -> None:
    """Count scans by state; show rate and remaining time.

    Without BATCH: the newest batches, then all scans together; with --follow the newest batch. The
    exit code of --follow is that of submit --wait.

    Example: hc-batch status
    """
    settings = Settings.from_environment()
    with open_database(settings) as database:
        if followed:
            _follow(database, settings, batch)
        present = progress(database, batch)
        if batch is None:
            table = Table(box=None, pad_edge=False, header_style="bold")
            for heading in ("batch", "kind", "created (UTC)", "scans", "from"):
                table.add_column(heading, overflow="fold")
            for line in latest_batches(database):
                created = f"{line.created_at:%Y-%m-%d %H:%M}"
                table.add_row(line.batch, line.kind, created, counts_line(line.counts), line.label)
            stdout.print(table)
        stdout.print(_summary(present))
        if skipped and batch is not None:
            for file in skipped_files(database, batch):
                stdout.print(f"skipped: {file.source} ({file.code}: {file.reason})", markup=False)
    if present.pending:
        _warn_of_silence(settings)


def _follow(database: Database, settings: Settings, batch: str | None) -> NoReturn:
    """End the command with the batch, or the newest one."""
    if batch is None:
        newest = latest_batches(database, limit=1)
        if not newest:
            stdout.print("nothing yet")
            sys.exit(EXIT_OK)
        batch = newest[0].batch
    if progress(database, batch).pending:
        _warn_of_silence(settings)
    done = follow(database, batch)
    stdout.print(_summary(done))
    sys.exit(exit_code_for(done))


def _warn_of_silence(settings: Settings) -> None:
    # Loads Celery, which takes longer than counting; where nothing waits it is not needed.
    from worker.queue.publisher import workers_listening

    if not workers_listening(settings):
        stderr.print("no worker listens: start one with hc-batch worker")


def _summary(present: Progress) -> str:
    name = present.batch or "all"
    line = f"{name}: {counts_line(present.counts, present.skipped)}"
    if present.pending and present.rate_per_s:
        line += f"; {present.rate_per_s:.1f} scans/s, {duration(present.remaining_s)} left"
    return line
