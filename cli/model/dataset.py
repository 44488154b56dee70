"""What the commands about training share: the folder of labelled images, and its folds."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table as RichTable

from cli.console import stdout
from hcmodel.dataset.hc18 import LabelledImage, TrainingDataError, read_folder
from hcmodel.dataset.planes import PlaneImage, read_planes
from hcmodel.html_page import Table
from hcmodel.model_card import Card
from worker.errors import TrainingDataUnusable

FOLDS = 5

folder_argument = click.argument(
    "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR"
)


def labelled(folder: Path) -> list[LabelledImage]:
    """Return the folder's images; raises ``TrainingDataUnusable`` that names what is wrong."""
    try:
        return read_folder(folder)
    except TrainingDataError as error:
        raise TrainingDataUnusable(str(error)) from error


def images_by_plane(folder: Path) -> list[PlaneImage]:
    """Return the folder's images; raises ``TrainingDataUnusable`` that names what is wrong."""
    try:
        return read_planes(folder)
    except TrainingDataError as error:
        raise TrainingDataUnusable(str(error)) from error


def unseen_images(images: list[LabelledImage], card: Card) -> list[LabelledImage]:
    """Return images of exams that did not train the card's weights."""
    known = set(card.training.get("exams", ()))  # type: ignore[call-overload]
    return [image for image in images if image.exam not in known]


def print_table(table: Table) -> None:
    """Print on standard output, numbers to the right."""
    title, headings, rows = table
    shown = RichTable(title=title)
    for number, heading in enumerate(headings):
        shown.add_column(heading, justify="right" if number else "left")
    for row in rows:
        shown.add_row(*row)
    stdout.print(shown)
