"""Reads a folder of fetal images by plane, and divides it by patient.

The form: ``planes.csv`` with a line per image, and the images in ``images/`` beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hcmodel.dataset.hc18 import TrainingDataError, listed, read_rows
from hcmodel.plane import HC_PLANES, NO_HEAD, Plane

TABLE = "planes.csv"
COLUMNS = ("filename", "plane", "patient", "machine")

FOR_HC = tuple(plane.value for plane in HC_PLANES)
"""The planes in which HC is taken."""
OTHER_HEADS = ("trans-cerebellar", "other-head")
BODIES = tuple(plane.value for plane in NO_HEAD if plane is not Plane.NOTHING)
PLANES = (*FOR_HC, *OTHER_HEADS, *BODIES)


@dataclass(frozen=True, slots=True)
class PlaneImage:
    """One image with its plane, still on disk."""

    image_path: Path
    plane: str
    patient: str
    machine: str

    @property
    def name(self) -> str:
        """The image's file name."""
        return self.image_path.name


def read_planes(folder: Path) -> list[PlaneImage]:
    """Return the folder's images in the order of its table; every plane has at least one.

    Raises ``TrainingDataError`` that names all lines which cannot be used, and why.
    """
    table = folder / TABLE
    if not table.is_file():
        raise TrainingDataError(
            f"{folder}: no {TABLE}; give the folder that holds it, with images/ beside it"
        )
    images: list[PlaneImage] = []
    faults: list[str] = []
    seen: set[str] = set()
    for number, row in read_rows(table, COLUMNS):
        name, plane, patient, machine = (row[column] or "" for column in COLUMNS)
        image = PlaneImage(folder / "images" / name, plane, patient, machine)
        found = [*_faults(name, image), *([f"{name} stands there twice"] if name in seen else [])]
        if found:
            faults.append(f"line {number}: {', '.join(found)}")
        seen.add(name)
        images.append(image)
    shown = {image.plane for image in images}
    faults += [f"no image of plane {plane}" for plane in PLANES if plane not in shown]
    if faults:
        raise TrainingDataError(f"{table.name}:\n  {listed(faults)}")
    return images


def _faults(name: str, image: PlaneImage) -> list[str]:
    """Return what a line lacks; a name with a folder in it would lead out of ``images/``."""
    faults = []
    if not name or name != image.name:
        faults.append(f"{name!r} is no file name")
    elif not image.image_path.is_file():
        faults.append(f"{name} missing")
    if image.plane not in PLANES:
        faults.append(f"unknown plane {image.plane!r}, none of {' '.join(PLANES)}")
    if not image.patient.strip():
        faults.append("no patient")
    return faults


def folds_by_patient(images: Sequence[PlaneImage], folds: int = 5) -> list[list[int]]:
    """Return the indices of each fold's held-out part, the same for the same images.

    All images of a patient fall into one fold. Patients with the rarest planes are dealt out
    first, each to the fold that lacks their planes most, so that every fold has a like mix.
    Raises ``TrainingDataError`` with fewer patients than folds.
    """
    by_patient: dict[str, list[int]] = {}
    for index, image in enumerate(images):
        by_patient.setdefault(image.patient, []).append(index)
    if len(by_patient) < folds:
        raise TrainingDataError(f"{len(by_patient)} patients are too few for {folds} folds")
    total = Counter(image.plane for image in images)
    planes = {
        patient: Counter(images[index].plane for index in indices)
        for patient, indices in by_patient.items()
    }

    def rarest_first(patient: str) -> tuple[int, int, str]:
        return min(total[plane] for plane in planes[patient]), -len(by_patient[patient]), patient

    parts: list[list[int]] = [[] for _ in range(folds)]
    held = [Counter[str]() for _ in range(folds)]
    for patient in sorted(by_patient, key=rarest_first):
        wanted = planes[patient]
        fold = min(range(folds), key=lambda fold: (_crowding(held[fold], wanted, total), fold))
        parts[fold] += by_patient[patient]
        held[fold] += wanted
    return [sorted(part) for part in parts]


def _crowding(held: Counter[str], added: Counter[str], total: Counter[str]) -> float:
    """Return how much less even the planes' shares get where a fold takes these images."""
    return sum(
        ((held[plane] + count) ** 2 - held[plane] ** 2) / total[plane] ** 2
        for plane, count in added.items()
    )


def check_divided(parts: Iterable[Sequence[PlaneImage]]) -> None:
    """Raise ``TrainingDataError`` that names all patients with images in more than one part."""
    first: dict[str, tuple[int, PlaneImage]] = {}
    faults: dict[str, str] = {}
    for number, part in enumerate(parts):
        for image in part:
            other, known = first.setdefault(image.patient, (number, image))
            if other != number:
                faults.setdefault(
                    image.patient,
                    f"patient {image.patient} stands in two parts: {known.name} in {other}, "
                    f"{image.name} in {number}",
                )
    if faults:
        raise TrainingDataError(f"{TABLE}:\n  {listed(list(faults.values()))}")
