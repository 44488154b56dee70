"""``hc-batch watch``: queues files as they arrive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.console import stderr
from cli.options import GivenPath, MarkerName, Number, input_options, metrics_options
from worker import log
from worker.multiprocess_metrics import Address, shared_metrics
from worker.settings import Settings
from worker.watching.stability import WatchOptions

if TYPE_CHECKING:
    from worker.intake.discover import Options

DEFAULTS = WatchOptions()


@click.command()
@click.argument(
    "folders",
    nargs=-1,
    required=True,
    type=GivenPath(path_type=Path, file_okay=False),
    metavar="DIR...",
)
@input_options
@click.option(
    "--interval",
    type=Number(min=0.1),
    default=DEFAULTS.interval_s,
    show_default=True,
    metavar="S",
    help="Seconds between two looks at the folders.",
)
@click.option(
    "--settle",
    type=Number(min=0),
    metavar="S",
    help="Seconds for which a file must not change before it is taken.  "
    "[default: 2; 10 on network drives]",
)
@click.option(
    "--polling", is_flag=True, help="Wait for no events; by itself on NFS, SMB and FUSE drives."
)
@click.option(
    "--marker",
    type=MarkerName(),
    metavar="NAME",
    help="Take a folder, with all below it, only when it holds a file of this name.",
)
@click.option(
    "--after",
    type=click.Choice(["keep", "move"]),
    default="keep",
    show_default=True,
    help="Leave ended files, or move them to done/ and failed/CODE/ in DIR.",
)
@click.option(
    "--max-disk-percent",
    type=Number(min=0, max=100),
    default=DEFAULTS.max_disk_percent,
    show_default=True,
    help="Take nothing while more of a disk is used.",
)
@metrics_options
def command(
    folders: tuple[Path, ...],
    options: Options,
    interval: float,
    settle: float | None,
    polling: bool,
    marker: str | None,
    after: str,
    max_disk_percent: float,
    metrics: Address | None,
) -> None:
    """Queue files as they arrive in the folders, until stopped.

    What lies there already is taken too. Temporary names (.x, x.part, x.tmp, ~x) wait until they
    are renamed; a file is taken when it has stopped changing. done/ and failed/ in DIR are never
    entered. A DIR that is not there is waited for.

    Example: hc-batch watch /srv/incoming --marker .complete --after move
    """
    settings = Settings.from_environment()
    log.configure(settings.log_level, settings.log_format)
    stderr.print(f"watching {', '.join(map(str, folders))}; Ctrl-C ends")
    how = WatchOptions(interval, settle, polling, marker, after == "move", max_disk_percent)
    with shared_metrics(metrics):
        # Loads SQLAlchemy and Celery: not for those who only ask for help.
        from worker.watching.watch import watch

        watch(settings, folders, options, how, metrics=metrics)
