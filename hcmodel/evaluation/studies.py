"""How well one HC per exam is measured where an exam has several images, and how sure it is.

An exam's truth is the median of its images' labels. The interval is judged by folds: each fold's
exams with the share of the error that images have in common as the other folds tell it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, median, variance

import numpy as np

from hcmodel.evaluation.metrics import Case
from hcmodel.study import Repeat, combined, needed_share

FOLDS = 5
COVERED = 0.9
"""Of exams, in how many the interval is to hold the truth."""


@dataclass(frozen=True, slots=True)
class Exam:
    """An exam with two trusted images or more, all in mm: what was measured, and the labels."""

    name: str
    repeats: tuple[Repeat, ...]
    labels_mm: tuple[float, ...]
    truth_mm: float

    @property
    def error_mm(self) -> float:
        """The median of its images less its truth."""
        return combined(self.repeats).hc_mm - self.truth_mm

    @property
    def half_width_mm(self) -> float:
        """The mean half width of its images' intervals."""
        return fmean([each.half_width_mm or 0.0 for each in self.repeats])


@dataclass(frozen=True, slots=True)
class Line:
    """Means over images, or over exams; widths are those of the 90 % intervals, in mm."""

    group: str
    count: int
    adf_mm: float
    adf_sd_mm: float
    df_mm: float
    covered_percent: float
    width_mm: float


@dataclass(frozen=True, slots=True)
class StudyFigures:
    """Images alone beside their exams; ``shared`` is that of all exams, ``by_fold`` of the others.

    ``*_sd_mm``: standard deviations of one image within its exam, of measurements and of labels.
    """

    lines: tuple[Line, ...]
    shared: float
    by_fold: tuple[float, ...]
    measured_sd_mm: float
    labels_sd_mm: float


def exams_of(cases: Sequence[Case]) -> list[Exam]:
    """Return the exams with two or more images that were measured without a flag.

    Two images with the very same label are copies of one, and count once.
    """
    members: dict[str, dict[float, Case]] = {}
    labels: dict[str, list[float]] = {}
    for case in cases:
        labels.setdefault(case.exam, []).append(case.truth_hc_mm)
        if case.hc_mm is not None and case.hc_low_mm is not None and not case.flags:
            members.setdefault(case.exam, {}).setdefault(case.truth_hc_mm, case)
    return [
        _exam(name, list(found.values()), labels[name])
        for name, found in members.items()
        if len(found) > 1
    ]


def study_figures(cases: Sequence[Case]) -> StudyFigures | None:
    """Return images alone beside exams; ``None`` where fewer than two exams a fold are there."""
    exams = exams_of(cases)
    if len(exams) < 2 * FOLDS:
        return None
    by_fold = []
    covered, widths_mm = [], []
    for fold in range(FOLDS):
        others = [exam for number, exam in enumerate(exams) if number % FOLDS != fold]
        by_fold.append(fitted_share(others))
        for exam in exams[fold::FOLDS]:
            low_mm, high_mm = _bounds_mm(exam, by_fold[-1])
            covered.append(low_mm <= exam.truth_mm <= high_mm)
            widths_mm.append(high_mm - low_mm)
    studies = _line(
        "their exams",
        [exam.error_mm for exam in exams],
        100 * fmean(covered),
        fmean(widths_mm),
    )
    return StudyFigures(
        (_images_line(exams), studies),
        fitted_share(exams),
        tuple(by_fold),
        _within_sd([[each.hc_mm for each in exam.repeats] for exam in exams]),
        _within_sd([exam.labels_mm for exam in exams]),
    )


def fitted_share(exams: Sequence[Exam]) -> float:
    """Return the share of an image's error variance that images of one exam have in common.

    It is the larger of two: the correlation of the errors of two images, each against its own
    label and as a share of its interval; and the least share with which nine tenths of the exams
    hold their truth, with the correction for a finite sample (split conformal prediction: Lei et
    al., JASA 113:1094).
    """
    needed = sorted(
        needed_share(exam.error_mm, exam.half_width_mm, len(exam.repeats)) for exam in exams
    )
    rank = math.ceil(COVERED * (len(needed) + 1))
    return max(needed[min(rank, len(needed)) - 1], correlation(exams))


def correlation(exams: Sequence[Exam]) -> float:
    """Return how far errors of two images of one exam go together, 0 where not at all."""
    products, squares = [], []
    for exam in exams:
        shares = [
            (repeat.hc_mm - label_mm) / (repeat.half_width_mm or 1.0)
            for repeat, label_mm in zip(exam.repeats, exam.labels_mm, strict=True)
        ]
        squares += [share**2 for share in shares]
        products += [one * other for one, other in combinations(shares, 2)]
    return max(0.0, fmean(products) / fmean(squares))


def _exam(name: str, cases: Sequence[Case], labels_mm: Sequence[float]) -> Exam:
    repeats = tuple(
        Repeat(case.hc_mm or 0.0, ((case.hc_high_mm or 0.0) - (case.hc_low_mm or 0.0)) / 2)
        for case in cases
    )
    own = tuple(case.truth_hc_mm for case in cases)
    return Exam(name, repeats, own, median(labels_mm))


def _bounds_mm(exam: Exam, shared: float) -> tuple[float, float]:
    found = combined(exam.repeats, shared)
    return found.low_mm or 0.0, found.high_mm or 0.0


def _images_line(exams: Sequence[Exam]) -> Line:
    """Return the images alone, each against its own label."""
    pairs = [
        (repeat, label_mm)
        for exam in exams
        for repeat, label_mm in zip(exam.repeats, exam.labels_mm, strict=True)
    ]
    errors_mm = [repeat.hc_mm - label_mm for repeat, label_mm in pairs]
    widths_mm = [repeat.half_width_mm or 0.0 for repeat, _ in pairs]
    covered = [abs(error) <= width for error, width in zip(errors_mm, widths_mm, strict=True)]
    return _line("images alone", errors_mm, 100 * fmean(covered), 2 * fmean(widths_mm))


def _line(group: str, errors_mm: Sequence[float], covered_percent: float, width_mm: float) -> Line:
    off_mm = np.abs(errors_mm)
    return Line(
        group,
        len(errors_mm),
        float(off_mm.mean()),
        float(off_mm.std(ddof=1)),
        fmean(errors_mm),
        covered_percent,
        width_mm,
    )


def _within_sd(groups: Sequence[Sequence[float]]) -> float:
    """Return the pooled standard deviation within groups of two or more."""
    weights = [len(group) - 1 for group in groups]
    squares = [weight * variance(group) for weight, group in zip(weights, groups, strict=True)]
    return math.sqrt(sum(squares) / sum(weights))
