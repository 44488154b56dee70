"""How far a measurement may be off: expected error, interval and confidence of one head.

Pure Python: every command reads a card, and none should load arrays for it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

TOLERANCE_MM = 3.0
"""Confidence is the probability that HC is off by no more than this."""
_MAX_DEVIATIONS = 4.0
"""A signal farther from its mean than this many deviations counts as if it were there."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Numbers that turn a fit's signals into its doubt; fitted on exams the network had not seen.

    The expected absolute error is ``exp(bias + weights . z)`` in mm, ``z`` being the signals less
    their ``means`` over their ``deviations``. ``ratios`` are quantiles, evenly spaced from 0 to 1,
    of the true over the expected error; ``interval_ratio`` is the one that 90 % stay below, with
    the correction for a finite sample (split conformal prediction: Lei et al., JASA 113:1094).
    Below ``min_confidence`` a head is flagged.
    """

    means: tuple[float, ...]
    deviations: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    ratios: tuple[float, ...]
    interval_ratio: float
    min_confidence: float

    def expected_error_mm(self, signals: Sequence[float | None]) -> float:
        """Expected absolute error of HC; an unknown signal (``None``) counts as its mean."""
        exponent = self.bias
        for value, mean, deviation, weight in zip(
            signals, self.means, self.deviations, self.weights, strict=True
        ):
            if value is not None:
                away = (value - mean) / deviation
                exponent += weight * max(-_MAX_DEVIATIONS, min(_MAX_DEVIATIONS, away))
        return math.exp(exponent)

    def half_width_mm(self, signals: Sequence[float | None]) -> float:
        """Half the width of the 90 % interval of HC."""
        return self.interval_ratio * self.expected_error_mm(signals)

    def confidence(self, signals: Sequence[float | None]) -> float:
        """Probability, 0 to 1, that HC is off by at most ``TOLERANCE_MM``."""
        ratio = TOLERANCE_MM / self.expected_error_mm(signals)
        above = bisect_right(self.ratios, ratio)
        if above == 0:
            return 0.0
        steps = len(self.ratios) - 1
        if above > steps:
            return 1.0
        low, high = self.ratios[above - 1], self.ratios[above]
        return (above - 1 + (ratio - low) / (high - low)) / steps
