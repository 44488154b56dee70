"""Judges weights on labelled images through the very path that users run: file to result."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from hcmodel.dataset.hc18 import LabelledImage, read_grey, read_truth
from hcmodel.dataset.planes import PlaneImage
from hcmodel.evaluation.metrics import Case, figures, trust
from hcmodel.evaluation.negatives import NEGATIVES, Negative
from hcmodel.evaluation.perturbations import CHANGES, Change, Shown
from hcmodel.evaluation.planes import PlaneCase
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.html_page import Table
from worker.measuring.instrument import Instrument, ScanRequest
from worker.reading import FileFormat, classify
from worker.result import Result, Status

SEED = 18
NOMINAL_SPACING = Spacing(0.15, 0.15)
"""For images that do not tell the size of a pixel: their HC then is none, and their plane is."""


@dataclass(frozen=True, slots=True)
class Subject:
    """An image on disk with its truth, however it came about."""

    name: str
    exam: str
    path: Path
    spacing: Spacing
    truth: Ellipse
    truth_hc_mm: float


def evaluate(images: Iterable[LabelledImage], instrument: Instrument) -> Iterator[Case]:
    """Yield one case per image; the folder's CSV gives pixel sizes, as a user would give them.

    Labelled images are in a plane for HC: a network without a gate is told so, as a user would.
    """
    return _judge(map(_subject, images), instrument)


def evaluate_changed(
    images: Iterable[LabelledImage], change: Change, instrument: Instrument, folder: Path
) -> Iterator[Case]:
    """Yield the same after a change of each image, which ``folder`` keeps to be read again."""
    rng = np.random.default_rng(SEED)

    def changed(image: LabelledImage) -> Subject:
        subject = _subject(image)
        shown = change(Shown(read_grey(image.image_path), image.spacing, subject.truth), rng)
        path = folder / image.name
        cv2.imwrite(str(path), shown.pixels)
        return replace(subject, path=path, spacing=shown.spacing, truth=shown.truth)

    return _judge(map(changed, images), instrument)


def measured_negatives(
    images: Iterable[LabelledImage], negative: Negative, instrument: Instrument, folder: Path
) -> Iterator[Result]:
    """Yield what is said of images without a head that are made from these."""
    rng = np.random.default_rng(SEED)

    def requests() -> Iterator[ScanRequest]:
        for number, image in enumerate(images):
            shown = Shown(read_grey(image.image_path), image.spacing, read_truth(image))
            path = folder / f"{number}.png"
            cv2.imwrite(str(path), negative(shown, rng))
            yield ScanRequest(number, str(path), manual=image.spacing)

    return (result for _, result in instrument.measure(requests()))


def measured_others(folder: Path, instrument: Instrument) -> Iterator[Result]:
    """Yield what is said of the files in a folder, of which none shows a fetal head."""
    files = sorted(path for path in folder.iterdir() if isinstance(classify(path), FileFormat))
    requests = (ScanRequest(number, str(path)) for number, path in enumerate(files))
    return (result for _, result in instrument.measure(requests))


def evaluate_planes(
    images: Iterable[PlaneImage], instrument: Instrument, spacing: Spacing = NOMINAL_SPACING
) -> Iterator[PlaneCase]:
    """Yield what is said of images of known planes, as if a user gave this pixel size."""
    waiting: dict[int, PlaneImage] = {}

    def requests() -> Iterator[ScanRequest]:
        for number, image in enumerate(images):
            waiting[number] = image
            yield ScanRequest(number, str(image.image_path), manual=spacing)

    for request, result in instrument.measure(requests()):
        yield PlaneCase(
            image=waiting.pop(request.scan_id),
            told_plane=result.head_plane.plane,
            plane_confidence=result.head_plane.plane_confidence,
            ellipse=_ellipse(result),
            hc_mm=result.sizes.hc_mm,
            flags=result.ellipse.flags,
            code=result.code,
        )


class Stress:
    """Other looks of images, and images without a head: what instruments say of them.

    ``images``: how many to show of those that each instrument has not seen; ``others``: a folder
    of files that show no fetal head.
    """

    def __init__(self, images: int, others: Path | None) -> None:
        self._images = images
        self._others = others
        self._changed: dict[str, list[Case]] = defaultdict(list)
        self._negatives: dict[str, list[Result]] = defaultdict(list)

    def add(self, unseen: Sequence[LabelledImage], instrument: Instrument) -> Iterator[str]:
        """Try an instrument on some of its unseen images; yield what has been tried."""
        step = max(1, len(unseen) // max(1, self._images))
        chosen = unseen[::step][: self._images]
        with tempfile.TemporaryDirectory() as name:
            for change, apply in CHANGES.items():
                self._changed[change] += evaluate_changed(chosen, apply, instrument, Path(name))
                yield change
            for kind, make in NEGATIVES.items():
                self._negatives[kind] += measured_negatives(chosen, make, instrument, Path(name))
                yield kind
        if self._others is not None:
            self._negatives[f"files in {self._others.name}"] += measured_others(
                self._others, instrument
            )

    def tables(self) -> list[Table]:
        """Return robustness, and what became of images without a head."""
        return [self._robustness(), self._refusals()]

    def _robustness(self) -> Table:
        rows = []
        for change, cases in self._changed.items():
            overall, found = figures(cases)[0], trust(cases)
            means = (
                ("", "", "")
                if found is None
                else (
                    f"{overall.adf_mm:.2f}",
                    f"{overall.df_mm:+.2f}",
                    f"{found.unflagged_above_10_mm}",
                )
            )
            counts = (overall.images, overall.refused, overall.flagged)
            rows.append((change, *map(str, counts), *means))
        headings = ("images shown", "images", "refused", "flagged", "ADF mm", "DF mm")
        return "The same images, shown otherwise", (*headings, "above 10 mm, no flag"), rows

    def _refusals(self) -> Table:
        rows = []
        for kind, results in self._negatives.items():
            measured = sum(result.status is Status.MEASURED for result in results)
            flagged = sum(result.status is Status.FLAGGED for result in results)
            refused = len(results) - measured - flagged
            rows.append((kind, *map(str, (len(results), refused, flagged, measured))))
        total = [sum(int(row[column]) for row in rows) for column in range(1, 5)]
        share = 100 * total[3] / max(1, total[0])
        rows.append(("all", *map(str, total[:3]), f"{total[3]} ({share:.1f} %)"))
        headings = ("images without a head", "images", "refused", "flagged", "measured")
        return "No head to measure", headings, rows


def _subject(image: LabelledImage) -> Subject:
    truth = read_truth(image)
    hc_mm = image.hc_mm or truth.circumference_mm(image.spacing)
    return Subject(image.name, image.exam, image.image_path, image.spacing, truth, hc_mm)


def _judge(subjects: Iterable[Subject], instrument: Instrument) -> Iterator[Case]:
    waiting: dict[int, Subject] = {}

    def requests() -> Iterator[ScanRequest]:
        for number, subject in enumerate(subjects):
            waiting[number] = subject
            yield ScanRequest(
                number,
                str(subject.path),
                manual=subject.spacing,
                any_plane=not instrument.knows_planes,
            )

    for request, result in instrument.measure(requests()):
        subject = waiting.pop(request.scan_id)
        yield Case(
            name=subject.name,
            exam=subject.exam,
            shape=(result.origin.rows or 0, result.origin.columns or 0),
            spacing=subject.spacing,
            truth=subject.truth,
            truth_hc_mm=subject.truth_hc_mm,
            ellipse=_ellipse(result),
            hc_mm=result.sizes.hc_mm,
            hc_low_mm=result.sizes.hc_low_mm,
            hc_high_mm=result.sizes.hc_high_mm,
            confidence=result.ellipse.confidence,
            flags=result.ellipse.flags,
            code=result.code,
        )


def _ellipse(result: Result) -> Ellipse | None:
    head = result.ellipse
    if (
        head.center_x_px is None
        or head.center_y_px is None
        or head.semi_axis_a_px is None
        or head.semi_axis_b_px is None
        or head.angle_rad is None
    ):
        return None
    return Ellipse(
        head.center_x_px,
        head.center_y_px,
        head.semi_axis_a_px,
        head.semi_axis_b_px,
        head.angle_rad,
    )
