"""What the commands about training share: the folder of labelled images, and its folds."""

from __future__ import annotations

from pathlib import Path

import click

from hcmodel.card import Card
from hcmodel.training.hc18 import LabelledImage, TrainingDataError, read_folder
from worker.errors import TrainingDataUnusable

FOLDS = 5

folder_argument = click.argument(
    "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR"
)


def labelled(folder: Path) -> list[LabelledImage]:
    """The folder's images; raises ``TrainingDataUnusable`` with the names of what is wrong."""
    try:
        return read_folder(folder)
    except TrainingDataError as error:
        raise TrainingDataUnusable(str(error)) from error


def unseen_images(images: list[LabelledImage], card: Card) -> list[LabelledImage]:
    """Images of exams that did not train the card's weights."""
    known = set(card.training.get("exams", ()))  # type: ignore[call-overload]
    return [image for image in images if image.exam not in known]
