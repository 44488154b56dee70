"""What the commands about training share: the folder of labelled images, and its folds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
    with naming_faults():
        return read_folder(folder)


def images_by_plane(folder: Path) -> list[PlaneImage]:
    """Return the images of a folder by plane, likewise."""
    with naming_faults():
        return read_planes(folder)


@contextmanager
def naming_faults() -> Iterator[None]:
    """Tell a person as a mistake of theirs what is wrong with training data."""
    try:
        yield
    except TrainingDataError as error:
        raise TrainingDataUnusable(str(error)) from error


def unseen_images(
    images: Sequence[LabelledImage], card: Card, *, by_gate: bool = False
) -> list[LabelledImage]:
    """Return images of exams that trained neither the card's network nor its gate.

    ``by_gate``: those that did not train the gate, whether or not they trained the network.
    """
    known = set() if by_gate else set(card.training.get("exams", ()))  # type: ignore[call-overload]
    if card.gate is not None:
        known.update(card.gate.exams)
    return [image for image in images if image.exam not in known]


def unseen_planes(images: Sequence[PlaneImage], card: Card) -> list[PlaneImage]:
    """Return images of patients that did not train the card's gate."""
    known = set() if card.gate is None else set(card.gate.patients)
    return [image for image in images if image.patient not in known]


def print_table(table: Table) -> None:
    """Print on standard output, numbers to the right."""
    title, headings, rows = table
    shown = RichTable(title=title)
    for number, heading in enumerate(headings):
        shown.add_column(heading, justify="right" if number else "left")
    for row in rows:
        shown.add_row(*row)
    stdout.print(shown)
