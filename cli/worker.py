"""``hc-batch worker``: measures what is queued."""

from __future__ import annotations

import os
import sys

import click

from cli.options import metrics_options, thorough_option
from worker.multiprocess_metrics import Address, shared_metrics
from worker.settings import Settings


@click.command()
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes with a network each; one per GPU.",
)
@thorough_option
@metrics_options
def command(concurrency: int, thorough: bool, metrics: Address | None) -> None:
    """Measure what is queued, until stopped.

    Takes up what was submitted while no worker ran. Ctrl-C or SIGTERM gives back what is not
    done. Without HC_BROKER_URL a private Redis is started, and shared with the other commands.

    Example: hc-batch worker
    """
    if thorough:
        os.environ["HC_THOROUGH"] = "1"  # the processes that measure read it there
    with shared_metrics(metrics):
        # Celery takes its time to import; no other command needs it whole.
        from worker.queue.worker_main import serve

        sys.exit(serve(Settings.from_environment(), concurrency, metrics))
