"""``hc-batch model explore``: a look at labelled images before they train anything."""

from __future__ import annotations

from pathlib import Path

import click

from cli.console import progress, stdout
from cli.model.dataset import folder_argument, labelled, print_table
from hcmodel.dataset.explore import explore_page, look_at, tables
from hcmodel.dataset.hc18 import TrainingDataError, of_each
from worker.errors import TrainingDataUnusable


@click.command()
@folder_argument
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write a page with histograms and a sheet of samples to this HTML file.",
)
def command(folder: Path, report: Path | None) -> None:
    """Show what a training folder holds: sizes, HC by age, grey values, doubles.

    Example: hc-batch model explore ~/hc18 --report data.html
    """
    images = labelled(folder)
    try:
        looks = of_each(progress(images, len(images), "looking"), look_at)
    except TrainingDataError as error:
        raise TrainingDataUnusable(str(error)) from error
    for table in tables(looks):
        print_table(table)
    if report is not None:
        report.write_text(explore_page(looks), encoding="utf-8")
        stdout.print(f"report: {report}")
