"""Reads a training folder in HC18's published form, and divides it by exam.

HC18: van den Heuvel et al., Zenodo record 1327317, CC BY 4.0. ``NNN_HC.png`` has its outline in
``NNN_HC_Annotation.png``; repeats of an exam are ``NNN_2HC.png``, ``NNN_3HC.png``.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from hcmodel.arrays import GreyImage, Mask
from hcmodel.ellipse_fit import fit_points
from hcmodel.geometry import Ellipse, Spacing

Use = TypeVar("Use")

PIXEL_SIZE_COLUMN = "pixel size(mm)"
HC_COLUMN = "head circumference (mm)"


class TrainingDataError(Exception):
    """The training folder cannot be used; the message names the files and what they lack."""


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image with its truth, still on disk."""

    image_path: Path
    annotation_path: Path
    spacing: Spacing
    hc_mm: float | None

    @property
    def name(self) -> str:
        """The image's file name."""
        return self.image_path.name

    @property
    def exam(self) -> str:
        """The exam's number: siblings share it and must stay on one side of a split."""
        return self.name.split("_")[0]


def read_folder(folder: Path) -> list[LabelledImage]:
    """Return the folder's images in the order of its CSV.

    Raises ``TrainingDataError`` that names all lines which cannot be used, and why.
    """
    tables = sorted(folder.rglob("*pixel_size*.csv"))
    if len(tables) != 1:
        raise TrainingDataError(
            f"{folder}: expected one *pixel_size*.csv, found {len(tables)}; "
            "give the folder that holds HC18's training_set_pixel_size_and_HC.csv"
        )
    paths = {path.name: path for path in folder.rglob("*.png")}
    images: list[LabelledImage] = []
    faults: list[str] = []
    seen: set[str] = set()
    for number, row in read_rows(tables[0], ("filename", PIXEL_SIZE_COLUMN)):
        name = row["filename"] or ""
        try:
            if name in seen:
                raise ValueError(f"{name} stands there twice")
            seen.add(name)
            images.append(_labelled(name, row, paths))
        except (ValueError, TypeError) as error:
            faults.append(f"line {number}: {error}")
    if faults:
        raise TrainingDataError(f"{tables[0].name}:\n  {listed(faults)}")
    return images


def _labelled(name: str, row: dict[str, str], paths: dict[str, Path]) -> LabelledImage:
    annotation = f"{Path(name).stem}_Annotation.png"
    absent = [wanted for wanted in (name, annotation) if wanted not in paths]
    if absent:
        raise ValueError(f"{' and '.join(absent)} missing")
    pixel_mm = float(row[PIXEL_SIZE_COLUMN])
    hc_mm = float(row[HC_COLUMN]) if row.get(HC_COLUMN) else None
    return LabelledImage(paths[name], paths[annotation], Spacing(pixel_mm, pixel_mm), hc_mm)


def read_rows(table: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Return the lines of a CSV below its headings, each with its number in the file.

    Raises ``TrainingDataError`` where it is no table, lacks one of ``columns`` or has no line.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.DictReader(lines)
            absent = not set(columns) <= set(reader.fieldnames or ())
            rows = [(reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise TrainingDataError(f"{table.name} is no table: {error}") from error
    if absent:
        raise TrainingDataError(f"{table.name} needs the columns {', '.join(columns)}")
    if not rows:
        raise TrainingDataError(f"{table.name} lists no image")
    return rows


def listed(faults: Sequence[str]) -> str:
    """Return faults one below the other, the first ten of many."""
    shown = "\n  ".join(faults[:10])
    return shown if len(faults) <= 10 else f"{shown}\n  and {len(faults) - 10} more"


def read_grey(path: Path) -> GreyImage:
    """Return ``(H, W)`` uint8; raises ``TrainingDataError`` with the file's name."""
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise TrainingDataError(f"{path.name} cannot be read as an image")
    return np.asarray(image, np.uint8)


def read_truth(image: LabelledImage) -> Ellipse:
    """Return the annotated ellipse in pixels of the image.

    Raises ``TrainingDataError`` for an annotation without an ellipse or of another size.
    """
    annotation = read_grey(image.annotation_path)
    if annotation.shape != read_grey(image.image_path).shape:
        raise TrainingDataError(f"{image.annotation_path.name} has another size than its image")
    try:
        return ellipse_of_annotation(annotation)
    except ValueError as error:
        raise TrainingDataError(f"{image.annotation_path.name}: {error}") from error


def of_each(images: Iterable[LabelledImage], use: Callable[[LabelledImage], Use]) -> list[Use]:
    """Return what ``use`` makes of every image.

    Raises one ``TrainingDataError`` that names all images of which it raised one.
    """
    made, faults = [], []
    for image in images:
        try:
            made.append(use(image))
        except TrainingDataError as error:
            faults.append(str(error))
    if faults:
        raise TrainingDataError(f"files that cannot be used:\n  {listed(faults)}")
    return made


def ellipse_of_annotation(annotation: GreyImage) -> Ellipse:
    """Return the ellipse of an outline or of a filled mask, ``(H, W)`` uint8, in px.

    An outline is taken through the middle of its ring (its outer edge would overstate HC by
    0.8 mm in HC18). Raises ``ValueError`` where there is no ellipse.
    """
    marked = annotation > 127
    closed = cv2.findContours(marked.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    outer = max(closed, key=len, default=None)
    if outer is None or len(outer) < 20:
        raise ValueError("no outline and no mask found")
    core = cv2.erode(marked.astype(np.uint8), np.ones((7, 7), np.uint8), borderValue=1)
    if core.sum() > 0.2 * marked.sum():
        return _fit_mask_border(marked)
    return _fit_pixels(marked)


def _fit_mask_border(mask: Mask) -> Ellipse:
    """Fit through the middle between the mask's last pixels and their first neighbours outside."""
    inner = mask & ~cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    outer = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~mask
    ring = inner | outer
    ring[[0, -1]] = False  # the image's border is not the head's
    ring[:, [0, -1]] = False
    return _fit_pixels(ring)


def _fit_pixels(marked: Mask) -> Ellipse:
    y_px, x_px = np.nonzero(marked)
    ellipse = fit_points(np.stack([x_px, y_px], axis=1).astype(np.float64))
    if ellipse is None:
        raise ValueError("the outline is no ellipse")
    return ellipse


def folds_by_exam(images: list[LabelledImage], folds: int, seed: int = 1) -> list[list[int]]:
    """Return the indices of each fold's held-out part.

    All images of an exam fall into one fold; exams are dealt out in order of HC, shuffled
    within each round, so that every fold has the same mix of ages.
    """
    rng = np.random.default_rng(seed)
    by_exam: dict[str, list[int]] = {}
    for index, image in enumerate(images):
        by_exam.setdefault(image.exam, []).append(index)
    exams = sorted(by_exam, key=lambda exam: (images[by_exam[exam][0]].hc_mm or 0.0, exam))
    parts: list[list[int]] = [[] for _ in range(folds)]
    for start in range(0, len(exams), folds):
        for part, exam in zip(rng.permutation(folds), exams[start : start + folds], strict=False):
            parts[part] += by_exam[exam]
    return [sorted(part) for part in parts]
