"""``hc-batch send``: measurements as objects to an archive."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import click

from cli.console import stderr
from cli.exit_codes import EXIT_NOT_FINISHED, EXIT_OK, EXIT_SOME_REFUSED
from cli.filter_words import Asked
from cli.options import Number, filter_options
from worker import log
from worker.extras import extra
from worker.plain_text import visible
from worker.reports.objects.forms import OBJECT_FORMS
from worker.result import NOTICE
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.store.session import Database

SENDABLE = [form.name for form in OBJECT_FORMS.values() if form.is_dicom]


@click.command()
@filter_options
@click.option(
    "--format",
    "form_name",
    type=click.Choice(SENDABLE),
    help="Queue an object of this kind for each row.  [default: go on with what is queued]",
)
@click.option(
    "--to", "name", required=True, metavar="NAME", help="A destination of destinations.toml."
)
@click.option(
    "--wait",
    "wait_s",
    type=Number(min=0),
    default=60.0,
    show_default=True,
    metavar="S",
    help="Try again for so long what the archive does not take now; the rest stays queued.",
)
@click.option("--retry-refused", is_flag=True, help="Queue again what it refused before.")
def command(
    which: Asked,
    form_name: str | None,
    name: str,
    wait_s: float,
    retry_refused: bool,
) -> None:
    """Send measurements to an archive (C-STORE, STOW-RS): of all batches or of BATCH, each once.

    Each is a row of the table deliveries: queued, sent, or refused with its reason. What was sent
    is not sent again. Destinations stand in destinations.toml in HC_DATA_DIR.

    Example: hc-batch send last --format dicom-sr --to pacs
    """
    settings = Settings.from_environment()
    log.configure(settings.log_level, settings.log_format)
    with extra("hospital"):
        # An extra; and nobody who asks for help should wait for it.
        from worker.hospital.deliver import deliverer
    from worker.store import deliveries

    with deliverer(settings, name) as (sending, database):
        if retry_refused:
            deliveries.retry_refused(database, name)
        if form_name is not None:
            form = OBJECT_FORMS[form_name]
            wanted = which.filter(database)
            deliveries.enqueue(database, name, form_name, wanted, form.by_study)
        outcome = sending.run(threading.Event(), wait_s)
        _tell(database, name)
    words = f"{outcome.sent} sent, {outcome.refused} refused, {outcome.waiting} wait"
    stderr.print(f"{words}; {NOTICE}")
    if outcome.waiting:
        sys.exit(EXIT_NOT_FINISHED)
    sys.exit(EXIT_SOME_REFUSED if outcome.refused else EXIT_OK)


def _tell(database: Database, name: str) -> None:
    """Say why deliveries were refused, or wait."""
    from worker.store import deliveries

    for (state, code), count in sorted(
        deliveries.tally(database, name).items(), key=lambda item: str(item[0])
    ):
        if code is not None:
            stderr.print(visible(f"{count} {state}: {code}"))
