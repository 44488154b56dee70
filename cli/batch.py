"""``hc-batch batch``: what is done to a whole batch."""

from __future__ import annotations

import click

from cli.removal import file_is_there, tell, yes_option
from worker.settings import Settings
from worker.store.batches import find_batch
from worker.store.removal import remove_batch
from worker.store.session import open_database


@click.group()
def command() -> None:
    """Remove a batch.

    Example: hc-batch batch remove last
    """


@command.command()
@click.argument("batch")
@yes_option
def remove(batch: str, yes: bool) -> None:
    """Remove a batch with its rows, their history and reviews; no image is touched.

    BATCH is a name, the beginning of one, or last. Tells what would go; with --yes it goes. Scans
    that later batches repeat stay, and so do those whose file still lies in a watched folder.

    Example: hc-batch batch remove 20260131-081500-3fa9 --yes
    """
    settings = Settings.from_environment()
    is_there = file_is_there(settings.data_roots)
    with open_database(settings) as database:
        name = find_batch(database, batch)
        tell(remove_batch(database, name, is_there, really=yes), really=yes)
