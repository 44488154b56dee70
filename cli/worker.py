"""``hc-batch worker``: measures what is queued."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from cli.options import metrics_options, thorough_option
from worker.extras import extra
from worker.multiprocess_metrics import Address, shared_metrics
from worker.reports.objects.forms import OBJECT_FORMS
from worker.settings import Settings

SENDABLE = [form.name for form in OBJECT_FORMS.values() if form.is_dicom]


@click.command()
@click.option(
    "--concurrency",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    help="Processes with a network each; one per GPU.",
)
@thorough_option
@click.option(
    "--export",
    "form_name",
    type=click.Choice(SENDABLE),
    help="With --to: send each measurement of the ledger in this form, once.",
)
@click.option("--to", "name", metavar="NAME", help="A destination of destinations.toml.")
@metrics_options
def command(
    concurrency: int,
    thorough: bool,
    form_name: str | None,
    name: str | None,
    metrics: Address | None,
) -> None:
    """Measure what is queued, until stopped.

    Takes up what was submitted while no worker ran. Ctrl-C or SIGTERM gives back what is not
    done. Without HC_BROKER_URL a private Redis is started, and shared with the other commands.

    Example: hc-batch worker
    """
    if (form_name is None) != (name is None):
        raise click.UsageError("--export and --to go together")
    if thorough:
        os.environ["HC_THOROUGH"] = "1"  # the processes that measure read it there
    with shared_metrics(metrics):
        # Celery takes its time to import; no other command needs it whole.
        from worker.queue.worker_main import serve

        settings = Settings.from_environment()
        with _sending(settings, form_name, name):
            code = serve(settings, concurrency, metrics)
        sys.exit(code)


@contextmanager
def _sending(settings: Settings, form_name: str | None, name: str | None) -> Iterator[None]:
    if form_name is None or name is None:
        yield
        return
    with extra("hospital"):
        # An extra, and heavy: only for those who send.
        from worker.hospital.deliver import pipeline
    with pipeline(settings, OBJECT_FORMS[form_name], name):
        yield
