"""``hc-batch requeue``: another try for what failed or was rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.console import stderr
from cli.options import Number, scan_code, size_options
from worker.result import Status
from worker.settings import Settings
from worker.store.batches import find_batch
from worker.store.recovery import REQUEUEABLE, requeue
from worker.store.session import open_database

if TYPE_CHECKING:
    from worker.intake.pixel_sizes import PixelSizes


@click.command()
@click.argument("batch", required=False)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([status.value for status in REQUEUEABLE]),
    help="Only these; both without it.",
)
@click.option("--code", type=scan_code, help="Only scans that ended with this code.")
@click.option(
    "--older-than",
    "older_than_s",
    type=Number(min=0),
    metavar="S",
    help="Only scans that ended more than S seconds ago.",
)
@size_options
def command(
    batch: str | None,
    statuses: tuple[str, ...],
    code: str | None,
    older_than_s: float | None,
    sizes: PixelSizes | None,
) -> None:
    """Put failed or rejected scans in the queue again: of BATCH, or of all by code or age.

    BATCH is a name, the beginning of one, or last. A pixel size that is given now counts from now
    on, for the files of the table or for all that are queued again.

    Example: hc-batch requeue last --code spacing-unknown --pixel-sizes sizes.csv
    """
    if batch is None and code is None and older_than_s is None:
        raise click.UsageError("name a BATCH, or for all batches a --code or --older-than")
    # Loads Celery: only commands that send messages pay for it.
    from worker.queue.reconciler import publish_now

    settings = Settings.from_environment()
    with open_database(settings) as database:
        wanted = [Status(status) for status in statuses] or REQUEUEABLE
        name = None if batch is None else find_batch(database, batch)
        size_of = None if sizes is None else sizes.of_stored
        count = requeue(database, name, wanted, code, older_than_s, size_of)
        if sizes is not None:
            sizes.tell_unused()
        stderr.print(f"{count} scans are queued again")
        publish_now(database, settings)
