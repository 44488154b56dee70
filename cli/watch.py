"""``hc-batch watch``: queues files as they arrive."""

from __future__ import annotations

from pathlib import Path

import click

from cli.console import words
from cli.options import input_options, read_options
from worker import log
from worker.intake.discover import Options
from worker.intake.watch import WatchOptions, watch
from worker.settings import Settings

DEFAULTS = WatchOptions()


@click.command()
@click.argument(
    "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR"
)
@input_options
@read_options
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=DEFAULTS.interval_s,
    show_default=True,
    metavar="S",
    help="Seconds between two looks at the folder.",
)
@click.option(
    "--settle",
    type=click.FloatRange(min=0),
    default=DEFAULTS.settle_s,
    show_default=True,
    metavar="S",
    help="Seconds for which a file must not change before it is taken.",
)
@click.option("--polling", is_flag=True, help="For network drives, which send no events.")
def command(folder: Path, options: Options, interval: float, settle: float, polling: bool) -> None:
    """Queue files as they arrive in DIR, until stopped.

    What lies there already is taken too. Temporary names (.x, x.part, x.tmp, ~x) wait until they
    are renamed; a file is taken when it has stopped changing.

    Example: hc-batch watch /srv/incoming --settle 10 --polling
    """
    settings = Settings.from_environment()
    log.configure(settings.log_level)
    words.print(f"watching {folder}; Ctrl-C ends")
    watch(settings, folder, options, WatchOptions(interval, settle, polling))
