"""How far a measurement may be off: expected error, interval and confidence of one head.

Pure Python: every command reads a card, and none should load arrays for it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

TOLERANCE_MM = 3.0
"""Confidence is the probability that HC is off by no more than this."""
TOLERANCE_SHARE = 0.02
"""Of HC: where that is more than ``TOLERANCE_MM``, a head is flagged for what exceeds it.

Two people agree to about 3 % (Sarris 2012); 3 mm are 4 % of an early head and 1 % of a late one.
"""
_MAX_DEVIATIONS = 4.0
"""A feature farther from its mean than this many deviations counts as if it were there."""
_MAX_EXPONENT = 300.0
"""Within it, exp() and all that is made of it stay finite and above zero."""


class Feature(StrEnum):
    """What the expected error is read from; logarithms, since errors grow by factors.

    A card lists the names of those that its error model was fitted to. The order is that of cards
    that list none.
    """

    LOG_RESIDUAL = "log-residual"
    """Distance of the level line to its ellipse, as a share of the mean semi-axis."""
    LOG_DICE_LOSS = "log-dice-loss"
    """1 less the soft Dice of map and ellipse."""
    LOG_BLUR = "log-blur"
    """1 less the sharpness of the map along the ellipse."""
    BORDER_SHARE = "border-share"
    """Share of the level line that runs along the image's border."""
    OTHER_COMPONENTS_SHARE = "other-components-share"
    """Share of the segmented area that is not in its largest component."""
    AXIS_RATIO = "axis-ratio"
    """b/a, in mm where the pixels have a known size."""
    LOG_HC_MM = "log-hc-mm"
    """Unknown without a scale."""
    LOG_DISAGREEMENT = "log-disagreement"
    """How far the whole and the zoomed image differ in the circumference."""
    LOG_CORRECTION = "log-correction"
    """How far the contour changed the circumference; unknown without a contour."""
    LOG_CONTOUR_RESIDUAL = "log-contour-residual"
    """What offsets the contour's ellipse leaves; unknown without a contour."""


Features = Mapping[str, float | None]
"""Values by name; one that is ``None``, not a number or not there is unknown."""


@dataclass(frozen=True, slots=True)
class ErrorModel:
    """Numbers that turn a head's features into its expected error; fitted on unseen exams.

    The expected absolute error is ``exp(bias + weights . z)`` in mm, ``z`` being the ``features``
    less their ``means`` over their ``deviations``. ``ratios`` are quantiles, evenly spaced from 0
    to 1, of the true over the expected error; ``interval_ratio`` is the one that 90 % stay below,
    with the correction for a finite sample (split conformal prediction: Lei et al., JASA
    113:1094). A head is flagged where the probability that HC is within ``tolerance_mm`` lies below
    ``min_confidence``.

    Raises ``ValueError`` for numbers that would fail in use.
    """

    features: tuple[str, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    ratios: tuple[float, ...]
    interval_ratio: float
    min_confidence: float

    def __post_init__(self) -> None:
        self._check_names()
        self._check_numbers()

    def _check_names(self) -> None:
        unknown = [name for name in self.features if name not in set(Feature)]
        if unknown:
            raise ValueError(f"unknown features: {', '.join(map(str, unknown))}")
        if len(set(self.features)) < len(self.features):
            raise ValueError("a feature stands there twice")
        for name in ("means", "deviations", "weights"):
            count = len(getattr(self, name))
            if count != len(self.features):
                raise ValueError(f"{len(self.features)} features, but {count} {name}")

    def _check_numbers(self) -> None:
        for name in ("means", "deviations", "weights", "ratios"):
            if not all(map(_is_number, getattr(self, name))):
                raise ValueError(f"{name} must be finite numbers")
        for name in ("bias", "interval_ratio", "min_confidence"):
            if not _is_number(getattr(self, name)):
                raise ValueError(f"{name} must be a finite number")
        if min(self.deviations, default=1.0) <= 0:
            raise ValueError("deviations must be above zero")
        if len(self.ratios) < 2 or list(self.ratios) != sorted(self.ratios) or self.ratios[0] < 0:
            raise ValueError("ratios must be two or more numbers from 0 up, in order")
        if self.interval_ratio < 0 or not 0 <= self.min_confidence <= 1:
            raise ValueError("interval_ratio must be from 0 up, min_confidence from 0 to 1")
        if abs(self.bias) + _MAX_DEVIATIONS * sum(map(abs, self.weights)) > _MAX_EXPONENT:
            raise ValueError("bias and weights are too large: expected errors leave all bounds")

    def expected_error_mm(self, features: Features) -> float:
        """Return the expected absolute error of HC; an unknown feature counts as its mean."""
        exponent = self.bias
        for name, mean, deviation, weight in zip(
            self.features, self.means, self.deviations, self.weights, strict=True
        ):
            value = features.get(name)
            if value is not None and not math.isnan(value):
                away = (value - mean) / deviation
                exponent += weight * max(-_MAX_DEVIATIONS, min(_MAX_DEVIATIONS, away))
        return math.exp(exponent)

    def half_width_mm(self, features: Features) -> float:
        """Return half the width of the 90 % interval of HC."""
        return self.interval_ratio * self.expected_error_mm(features)

    def confidence(self, features: Features) -> float:
        """Return the probability, 0 to 1, that HC is off by at most ``TOLERANCE_MM``."""
        return self.within(features, TOLERANCE_MM)

    def within(self, features: Features, limit_mm: float) -> float:
        """Return the probability, 0 to 1, that HC is off by at most ``limit_mm``."""
        ratio = limit_mm / self.expected_error_mm(features)
        above = bisect_right(self.ratios, ratio)
        if above == 0:
            return 0.0
        steps = len(self.ratios) - 1
        if above > steps:
            return 1.0
        low, high = self.ratios[above - 1], self.ratios[above]
        return (above - 1 + (ratio - low) / (high - low)) / steps


def tolerance_mm(hc_mm: float | None) -> float:
    """Return by how much HC may be off before a person should look; ``None`` is an unknown HC."""
    return max(TOLERANCE_MM, TOLERANCE_SHARE * (hc_mm or 0.0))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e300
