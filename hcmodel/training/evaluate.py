"""The figures by which weights are judged, from truths and what was measured.

ADF and DF are the mean absolute and the mean signed difference of HC, DSC is Dice's coefficient,
HD the Hausdorff distance of the two outlines (van den Heuvel et al., PLoS ONE 13:e0200412).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hcmodel.geometry import Ellipse, Spacing
from hcmodel.gestation import trimester

OUTLINE_POINTS = 360


@dataclass(frozen=True, slots=True)
class Case:
    """One labelled image and its answer; ``ellipse`` and ``hc_mm`` are ``None`` where refused."""

    name: str
    shape: tuple[int, int]
    spacing: Spacing
    truth: Ellipse
    truth_hc_mm: float
    ellipse: Ellipse | None
    hc_mm: float | None
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


def dice(first: Ellipse, second: Ellipse, shape: tuple[int, int]) -> float:
    """Dice's coefficient of two filled ellipses on an image of ``shape``, 0 to 1."""
    one, other = first.coverage(shape) > 0.5, second.coverage(shape) > 0.5
    return float(2 * (one & other).sum() / max(1, one.sum() + other.sum()))


def hausdorff_mm(first: Ellipse, second: Ellipse, spacing: Spacing) -> float:
    """Largest distance from a point of one outline to the other outline, in mm."""
    scale_mm = np.array([spacing.column_mm, spacing.row_mm])
    one = first.points(OUTLINE_POINTS) * scale_mm
    other = second.points(OUTLINE_POINTS) * scale_mm
    apart_mm = np.linalg.norm(one[:, None] - other[None], axis=2)
    return float(max(apart_mm.min(axis=0).max(), apart_mm.min(axis=1).max()))


def figures(cases: Sequence[Case]) -> list[Figures]:
    """All images first, then one line per trimester."""
    groups: dict[str, list[Case]] = {"all images": list(cases)}
    for name in ("below 14 weeks", "14-28 weeks", "above 28 weeks"):
        groups[name] = [case for case in cases if trimester(case.truth_hc_mm) == name]
    return [_figures(group, members) for group, members in groups.items() if members]


def worst(cases: Sequence[Case], count: int = 10) -> list[Case]:
    """The largest differences first, then the refused."""
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
