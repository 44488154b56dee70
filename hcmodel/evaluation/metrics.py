"""The figures by which weights are judged, from truths and what was measured.

ADF and DF are the mean absolute and the mean signed difference of HC, DSC is Dice's coefficient,
HD the Hausdorff distance of the two outlines (van den Heuvel et al., PLoS ONE 13:e0200412).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

import numpy as np

from hcmodel.arrays import FloatArray
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.gestational_age import EARLY, LATE, MIDDLE, trimester
from hcmodel.uncertainty import TOLERANCE_MM

OUTLINE_POINTS = 360
"""Of each outline: 1 degree apart, less than a pixel of most images."""

Member = TypeVar("Member")


@dataclass(frozen=True, slots=True)
class Case:
    """One labelled image and its answer; ``ellipse`` and ``hc_mm`` are ``None`` where refused."""

    name: str
    exam: str
    shape: tuple[int, int]
    spacing: Spacing
    truth: Ellipse
    truth_hc_mm: float
    ellipse: Ellipse | None
    hc_mm: float | None
    hc_low_mm: float | None
    hc_high_mm: float | None
    confidence: float | None
    flags: tuple[str, ...]
    code: str | None

    @property
    def difference_mm(self) -> float | None:
        """Measured minus true HC."""
        return None if self.hc_mm is None else self.hc_mm - self.truth_hc_mm


@dataclass(frozen=True, slots=True)
class Figures:
    """One line of the report; means are over the images with an answer, ``None`` without any."""

    group: str
    images: int
    refused: int
    flagged: int
    adf_mm: float | None
    adf_sd_mm: float | None
    df_mm: float | None
    df_sd_mm: float | None
    relative_percent: float | None
    dsc_percent: float | None
    hd_mm: float | None


@dataclass(frozen=True, slots=True)
class Trust:
    """How far the answers can be relied on; errors are absolute differences of HC.

    ``aurc_*``: area under the risk-coverage curve, the mean error of the k most trusted images
    averaged over all k (Geifman and El-Yaniv, NIPS 2017), in mm; ``random`` is the mean error,
    ``oracle`` trusts in the order of the errors themselves.
    """

    median_mm: float
    percentile_90_mm: float
    flagged_percent: float
    refused_percent: float
    unflagged_above_6_mm: int
    unflagged_above_10_mm: int
    adf_confident_mm: float
    aurc_confidence_mm: float
    aurc_random_mm: float
    aurc_oracle_mm: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """The 90 % interval of a group: in how many images it holds the truth, and how wide it is."""

    group: str
    images: int
    covered_percent: float
    width_mm: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Images of like confidence: what they were given, and what came true within 3 mm."""

    images: int
    confidence: float
    within: float


@dataclass(frozen=True, slots=True)
class Repeatability:
    """HC of two images of one exam: how far apart the labels are, and how far the measurements.

    ``*_apart_mm`` are mean absolute differences between the two images. ``*_sd_mm`` are the
    standard deviations of what labels and measurements add on their own to what both see (Grubbs,
    J. Am. Stat. Assoc. 43:243, 1948); 0 where all of the spread is the other's.
    """

    group: str
    pairs: int
    truth_apart_mm: float
    measured_apart_mm: float
    truth_sd_mm: float
    measured_sd_mm: float


CONFIDENT_SHARE = 0.8
"""Of the answers, whose mean error is told: what is left when a fifth goes to people."""


def dice(first: Ellipse, second: Ellipse, shape: tuple[int, int]) -> float:
    """Return Dice's coefficient of two filled ellipses on an image of ``shape``, 0 to 1."""
    one, other = first.coverage(shape) > 0.5, second.coverage(shape) > 0.5
    return float(2 * (one & other).sum() / max(1, one.sum() + other.sum()))


def hausdorff_mm(first: Ellipse, second: Ellipse, spacing: Spacing) -> float:
    """Return the largest distance from a point of one outline to the other outline, in mm."""
    scale_mm = np.array([spacing.column_mm, spacing.row_mm])
    one = first.points(OUTLINE_POINTS) * scale_mm
    other = second.points(OUTLINE_POINTS) * scale_mm
    apart_mm = np.linalg.norm(one[:, None] - other[None], axis=2)
    return float(max(apart_mm.min(axis=0).max(), apart_mm.min(axis=1).max()))


def figures(cases: Sequence[Case]) -> list[Figures]:
    """Return the figures of all images first, then one line per trimester."""
    return [_figures(group, members) for group, members in _groups(cases, _truth).items()]


def trust(cases: Sequence[Case]) -> Trust | None:
    """Return how far the answers can be relied on; ``None`` without any answer."""
    answered = [case for case in cases if case.hc_mm is not None]
    if not answered:
        return None
    errors_mm = errors_of(answered)
    flagged = np.array([bool(case.flags) for case in answered])
    confidences = np.array([case.confidence or 0.0 for case in answered])
    risks_mm = risk_coverage(errors_mm, confidences)
    return Trust(
        median_mm=float(np.median(errors_mm)),
        percentile_90_mm=float(np.percentile(errors_mm, 90)),
        flagged_percent=100 * float(flagged.sum()) / len(cases),
        refused_percent=100 * (1 - len(answered) / len(cases)),
        unflagged_above_6_mm=int((errors_mm[~flagged] > 6).sum()),
        unflagged_above_10_mm=int((errors_mm[~flagged] > 10).sum()),
        adf_confident_mm=float(risks_mm[max(0, round(CONFIDENT_SHARE * len(risks_mm)) - 1)]),
        aurc_confidence_mm=float(risks_mm.mean()),
        aurc_random_mm=float(errors_mm.mean()),
        aurc_oracle_mm=float(risk_coverage(errors_mm, -errors_mm).mean()),
    )


def errors_of(answered: Sequence[Case]) -> FloatArray:
    """Return absolute differences of HC, ``(N,)`` in mm."""
    return np.asarray(np.abs(np.array([case.difference_mm for case in answered], float)))


def risk_coverage(errors_mm: FloatArray, scores: FloatArray) -> FloatArray:
    """Return ``(N,)``: the mean error in mm of the 1, 2 ... N images with the highest scores."""
    ranked = errors_mm[np.argsort(-scores, kind="stable")]
    return np.asarray(np.cumsum(ranked) / np.arange(1, len(ranked) + 1))


def coverage(cases: Sequence[Case]) -> list[Coverage]:
    """Return all images first, then each trimester; nothing where no answer has an interval."""
    bounded = [case for case in cases if case.hc_low_mm is not None]
    lines = []
    for group, members in _groups(bounded, _truth).items():
        bounds_mm = np.array([(case.hc_low_mm, case.hc_high_mm) for case in members], float)
        truths_mm = np.array([case.truth_hc_mm for case in members])
        covered = (bounds_mm[:, 0] <= truths_mm) & (truths_mm <= bounds_mm[:, 1])
        width_mm = float(np.diff(bounds_mm).mean())
        lines.append(Coverage(group, len(members), 100 * float(covered.mean()), width_mm))
    return lines


def repeatability(cases: Sequence[Case]) -> list[Repeatability]:
    """Return all pairs of images of one exam, both measured without a flag, then each trimester.

    A pair's trimester is that of its first image. Two images with the very same HC are copies of
    one, with one drawing: they tell nothing of its spread, and are left out.
    """
    exams: dict[str, list[Case]] = {}
    for case in cases:
        if case.hc_mm is not None and not case.flags:
            exams.setdefault(case.exam, []).append(case)
    pairs = [
        (one, other)
        for members in exams.values()
        for one, other in combinations(members, 2)
        if one.truth_hc_mm != other.truth_hc_mm
    ]
    lines = []
    for group, members in _groups(pairs, lambda pair: pair[0].truth_hc_mm).items():
        both_mm = np.array([[(c.truth_hc_mm, c.hc_mm) for c in pair] for pair in members], float)
        truths_mm, measured_mm = (both_mm[:, 0] - both_mm[:, 1]).T
        lines.append(
            Repeatability(
                group,
                len(members),
                float(np.abs(truths_mm).mean()),
                float(np.abs(measured_mm).mean()),
                _own_sd(truths_mm, measured_mm),
                _own_sd(measured_mm, truths_mm),
            )
        )
    return lines


def _own_sd(differences: FloatArray, others: FloatArray) -> float:
    """Return the deviation of one image, where each difference is that of two."""
    return math.sqrt(max(0.0, float((differences * (differences - others)).mean()) / 2))


def reliability(cases: Sequence[Case], bins: int = 5) -> list[Bin]:
    """Return images in order of confidence, in ``bins`` parts of like size."""
    answered = [case for case in cases if case.hc_mm is not None and case.confidence is not None]
    answered.sort(key=lambda case: case.confidence or 0.0)
    parts = [part for part in np.array_split(np.arange(len(answered)), bins) if len(part)]
    lines = []
    for part in parts:
        members = [answered[index] for index in part]
        confidences = [case.confidence or 0.0 for case in members]
        within = errors_of(members) <= TOLERANCE_MM
        lines.append(Bin(len(members), float(np.mean(confidences)), float(within.mean())))
    return lines


def _groups(items: Sequence[Member], hc_mm: Callable[[Member], float]) -> dict[str, list[Member]]:
    groups = {"all images": list(items)}
    for name in (EARLY, MIDDLE, LATE):
        groups[name] = [item for item in items if trimester(hc_mm(item)) == name]
    return {group: members for group, members in groups.items() if members}


def _truth(case: Case) -> float:
    return case.truth_hc_mm


def worst(cases: Sequence[Case], count: int = 10) -> list[Case]:
    """Return the ``count`` largest differences, the largest first."""
    answered = [case for case in cases if case.difference_mm is not None]
    return sorted(answered, key=lambda case: -abs(case.difference_mm or 0.0))[:count]


def _figures(group: str, cases: Sequence[Case]) -> Figures:
    answered = [case for case in cases if case.hc_mm is not None and case.ellipse is not None]
    differences_mm = np.array([case.difference_mm for case in answered], float)
    truths_mm = np.array([case.truth_hc_mm for case in answered])
    dices = [dice(case.truth, case.ellipse, case.shape) for case in answered if case.ellipse]
    outlines_mm = [
        hausdorff_mm(case.truth, case.ellipse, case.spacing) for case in answered if case.ellipse
    ]
    return Figures(
        group=group,
        images=len(cases),
        refused=len(cases) - len(answered),
        flagged=sum(bool(case.flags) for case in answered),
        adf_mm=_mean(np.abs(differences_mm)),
        adf_sd_mm=_deviation(np.abs(differences_mm)),
        df_mm=_mean(differences_mm),
        df_sd_mm=_deviation(differences_mm),
        relative_percent=_mean(100 * np.abs(differences_mm) / truths_mm),
        dsc_percent=_mean(100 * np.array(dices)),
        hd_mm=_mean(np.array(outlines_mm)),
    )


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def _deviation(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None
