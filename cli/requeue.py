"""``hc-batch requeue``: another try for what failed or was rejected."""

from __future__ import annotations

import click

from cli.console import words
from worker.result import Status
from worker.settings import Settings
from worker.store.recovery import REQUEUEABLE, requeue
from worker.store.session import open_database


@click.command()
@click.argument("batch")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([status.value for status in REQUEUEABLE]),
    help="Only these; both without it.",
)
def command(batch: str, statuses: tuple[str, ...]) -> None:
    """Put failed or rejected scans of a batch in the queue again.

    Example: hc-batch requeue 20260131-081500-3fa9 --status failed
    """
    settings = Settings.from_environment()
    with open_database(settings) as database:
        wanted = [Status(status) for status in statuses] or REQUEUEABLE
        words.print(f"{requeue(database, batch, wanted)} scans of {batch} are queued again")
