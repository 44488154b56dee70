"""``hc-batch bench``: speed on this machine."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from cli.console import out, words


@click.command()
@click.option(
    "--images",
    type=click.IntRange(min=8),
    default=64,
    show_default=True,
    help="Phantoms to measure with.",
)
def command(images: int) -> None:
    """Measure speed: decoding, network, run, queue, and the notebook's way.

    All in one run on this machine, so that the ratios hold where the seconds do not.

    Example: hc-batch bench --images 128
    """
    # Loads the network: only this command pays for it.
    from worker.bench import bench

    words.print(f"{images} phantoms; takes a minute or two")
    with tempfile.TemporaryDirectory(prefix="hc-bench-") as folder:
        speeds = []
        for speed in bench(Path(folder), images):
            speeds.append(speed)
            out.print(f"{speed.what:20} {speed.images_per_s:8.1f} images/s  {speed.note}")
    slowest = speeds[-1].images_per_s
    for speed in speeds[:-1]:
        out.print(f"{speed.what:20} {speed.images_per_s / slowest:8.1f} x the notebook's way")
