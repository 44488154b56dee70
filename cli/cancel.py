"""``hc-batch cancel``: ends what a batch has not finished."""

from __future__ import annotations

import click

from cli.console import stderr
from worker.settings import Settings
from worker.store.batches import find_batch
from worker.store.recovery import cancel
from worker.store.session import open_database


@click.command()
@click.argument("batch")
def command(batch: str) -> None:
    """End all that a batch has not finished yet; its results stay, requeue brings the rest back.

    BATCH is a name, the beginning of one, or last.

    Example: hc-batch cancel 20260131-081500-3fa9
    """
    with open_database(Settings.from_environment()) as database:
        name = find_batch(database, batch)
        stderr.print(f"{cancel(database, name)} scans of {name} are cancelled")
