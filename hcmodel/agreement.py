"""How far two ways of measuring the same heads agree: bias, limits of agreement, worst cases.

Pure Python: whoever asks for a summary should not wait for arrays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

from hcmodel.gestational_age import EARLY, LATE, MIDDLE, trimester, trimester_at

ALL = "all"
TRIMESTERS = (EARLY, MIDDLE, LATE)
_Z = 1.96
"""Half the width of the limits of agreement in deviations, as Bland and Altman have it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One head, measured by this instrument and by somebody else.

    ``name``: what a person finds it by; ``ga_weeks``: its age by other means, where known.
    """

    name: str
    ours_mm: float
    theirs_mm: float
    ga_weeks: float | None = None

    @property
    def difference_mm(self) -> float:
        """Ours minus theirs."""
        return self.ours_mm - self.theirs_mm

    @property
    def mean_mm(self) -> float:
        """The mean of both: what a Bland-Altman plot has on its horizontal axis."""
        return (self.ours_mm + self.theirs_mm) / 2

    @property
    def trimester(self) -> str:
        """The age group, by the known age, or else by the other's HC."""
        return trimester(self.theirs_mm) if self.ga_weeks is None else trimester_at(self.ga_weeks)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its 95 % confidence interval; the bounds are ``None`` below two pairs."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """One group of pairs; differences are ours minus theirs, in mm.

    ``lower_mm`` and ``upper_mm`` are the 95 % limits of agreement, bias -/+ 1.96 deviations, each
    with its own confidence interval. What needs two pairs is ``None`` with one.
    """

    group: str
    pairs: int
    bias_mm: Estimate
    sd_mm: float | None
    lower_mm: Estimate | None
    upper_mm: Estimate | None
    absolute_mm: float
    relative_percent: float


def agreements(pairs: Sequence[Pair]) -> list[Agreement]:
    """Return the agreement of all pairs first, then of each age group that has any."""
    groups = [(ALL, list(pairs))]
    groups += [(name, [pair for pair in pairs if pair.trimester == name]) for name in TRIMESTERS]
    return [_agreement(name, members) for name, members in groups if members]


def worst(pairs: Iterable[Pair], count: int = 10) -> list[Pair]:
    """Return the pairs that differ most, the farthest apart first."""
    return sorted(pairs, key=lambda pair: -abs(pair.difference_mm))[:count]


def _agreement(group: str, pairs: Sequence[Pair]) -> Agreement:
    """Return one group's figures.

    Confidence intervals by Bland and Altman, Stat. Methods Med. Res. 8:135 (1999): the bias has
    the variance sd^2 / n, a limit sd^2 (1 / n + 1.96^2 / (2 (n - 1))), each with Student's t.
    """
    count = len(pairs)
    differences_mm = [pair.difference_mm for pair in pairs]
    bias_mm = fmean(differences_mm)
    absolute_mm = fmean(map(abs, differences_mm))
    relative = fmean(100 * abs(pair.difference_mm) / pair.theirs_mm for pair in pairs)
    if count < 2:
        alone = Estimate(bias_mm, None, None)
        return Agreement(group, count, alone, None, None, None, absolute_mm, relative)
    sd_mm = stdev(differences_mm)
    t = student_t_975(count - 1)
    of_bias_mm = t * sd_mm / math.sqrt(count)
    of_limit_mm = t * sd_mm * math.sqrt(1 / count + _Z**2 / (2 * (count - 1)))
    return Agreement(
        group=group,
        pairs=count,
        bias_mm=_within(bias_mm, of_bias_mm),
        sd_mm=sd_mm,
        lower_mm=_within(bias_mm - _Z * sd_mm, of_limit_mm),
        upper_mm=_within(bias_mm + _Z * sd_mm, of_limit_mm),
        absolute_mm=absolute_mm,
        relative_percent=relative,
    )


def _within(value: float, half: float) -> Estimate:
    return Estimate(value, value - half, value + half)


def student_t_975(degrees: int) -> float:
    """Return the 97.5th percentile of Student's t.

    From tables below ten degrees of freedom; above by the expansion around the normal quantile
    (Abramowitz and Stegun 26.7.5), there within 0.0002.
    """
    if degrees <= len(_T_975):
        return _T_975[degrees - 1]
    z = NormalDist().inv_cdf(0.975)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    first, second, third = terms
    return z + first / degrees + second / degrees**2 + third / degrees**3


_T_975 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)
