"""HC against a gestational age that is known by other means: z and centile by published charts.

The age must never come from the same HC: that would compare the head with itself.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

_NORMAL = NormalDist()


class Chart(StrEnum):
    """A chart of HC for gestational age; its name stands beside every figure taken from it."""

    INTERGROWTH_2014 = "intergrowth-2014"
    """Papageorghiou et al., Lancet 384:869 (2014); eight places, women at low risk."""
    WHO_2017 = "who-2017"
    """Kiserud et al., PLoS Med 14:e1002220 (2017); ten countries, both sexes together."""


class NoGrowth(StrEnum):
    """Why there is no centile."""

    AGE_OUTSIDE_CHART = "age-outside-chart"
    HC_BELOW_CHART = "hc-below-chart"
    HC_ABOVE_CHART = "hc-above-chart"


MEANINGS = {
    NoGrowth.AGE_OUTSIDE_CHART: "the chart begins at 14 and ends at 40 weeks",
    NoGrowth.HC_BELOW_CHART: "HC lies below the chart's lowest published centile, the 2.5th",
    NoGrowth.HC_ABOVE_CHART: "HC lies above the chart's highest published centile, the 97.5th",
}
"""What a person is told, by the word in the row."""

AGES_WEEKS = (14.0, 40.0)
"""First and last age of both charts."""

# Kiserud 2017, coefficients of quantile regression: ln HC_mm = b0 + b1 w + b2 w^2 + b3 w^3.
_WHO: dict[float, tuple[float, float, float, float]] = {
    0.025: (1.59317517131532, 0.294598005524330, -7.38603725667070e-3, 6.56951770216148e-5),
    0.05: (1.74883945698398, 0.278405280785763, -6.77990950687641e-3, 5.83587774721548e-5),
    0.10: (1.83059537388222, 0.272442511749740, -6.59546864496838e-3, 5.63957469365128e-5),
    0.25: (1.94181945227701, 0.265847571674450, -6.44544904011178e-3, 5.54517813431795e-5),
    0.50: (2.09924879247164, 0.253373656106037, -6.05647816678282e-3, 5.14256072059917e-5),
    0.75: (2.20777451923048, 0.245212320927953, -5.78557948587613e-3, 4.83972618799514e-5),
    0.90: (2.31776999721364, 0.236651510200538, -5.50781288608926e-3, 4.53975879344267e-5),
    0.95: (2.39550106176494, 0.229586666082063, -5.25318141633775e-3, 4.23738937924844e-5),
    0.975: (2.50074069629423, 0.220067854715719, -4.93623111462443e-3, 3.89066000946519e-5),
}
_WHO_Z = tuple(map(_NORMAL.inv_cdf, _WHO))


@dataclass(frozen=True, slots=True)
class Growth:
    """Where an HC lies on a chart; ``z`` and ``centile`` are ``None`` for ``reason``."""

    chart: Chart
    z: float | None
    centile: float | None
    reason: NoGrowth | None = None


def growth(hc_mm: float, ga_weeks: float, chart: Chart) -> Growth:
    """Return z and centile (0 to 100) of an HC at an age known by other means.

    INTERGROWTH-21st: z = (HC - mean) / SD. WHO: between two published quantiles z follows ln HC in
    a straight line; beyond the outermost two there is none, since the source gives no curve there.
    """
    if not AGES_WEEKS[0] <= ga_weeks <= AGES_WEEKS[1]:
        return Growth(chart, None, None, NoGrowth.AGE_OUTSIDE_CHART)
    if chart is Chart.INTERGROWTH_2014:
        z = (hc_mm - intergrowth_2014_mean_mm(ga_weeks)) / intergrowth_2014_sd_mm(ga_weeks)
        return _at(chart, z)
    curves = [math.log(curve_mm) for curve_mm in _who_2017_mm(ga_weeks)]
    height = math.log(hc_mm)
    if height < curves[0]:
        return Growth(chart, None, None, NoGrowth.HC_BELOW_CHART)
    if height > curves[-1]:
        return Growth(chart, None, None, NoGrowth.HC_ABOVE_CHART)
    return _at(chart, _between(height, curves, _WHO_Z))


def hc_mm_at(ga_weeks: float, centile: float, chart: Chart) -> float | None:
    """Return the HC of a centile (0 to 100, exclusive) at an age: a point of a chart's curve.

    ``None`` outside the chart's ages and, for WHO, outside the 2.5th to the 97.5th centile.
    """
    if not AGES_WEEKS[0] <= ga_weeks <= AGES_WEEKS[1]:
        return None
    z = _NORMAL.inv_cdf(centile / 100)
    if chart is Chart.INTERGROWTH_2014:
        return intergrowth_2014_mean_mm(ga_weeks) + z * intergrowth_2014_sd_mm(ga_weeks)
    if not _WHO_Z[0] - 1e-9 <= z <= _WHO_Z[-1] + 1e-9:
        return None
    return math.exp(_between(z, _WHO_Z, [math.log(mm) for mm in _who_2017_mm(ga_weeks)]))


def intergrowth_2014_mean_mm(ga_weeks: float) -> float:
    """Return the mean HC by Papageorghiou et al., Lancet 384:869 (2014), 14 to 40 weeks."""
    return -28.2849 + ga_weeks**2 * (1.69267 - 0.397485 * math.log(ga_weeks))


def intergrowth_2014_sd_mm(ga_weeks: float) -> float:
    """Return the standard deviation of HC by the same."""
    log = math.log(ga_weeks)
    return 1.98735 + ga_weeks**3 * (0.0136772 - 0.00726264 * log + 0.000976253 * log**2)


def _who_2017_mm(ga_weeks: float) -> list[float]:
    """Return the published quantiles, the lowest first."""
    return [
        math.exp(b0 + ga_weeks * (b1 + ga_weeks * (b2 + ga_weeks * b3)))
        for b0, b1, b2, b3 in _WHO.values()
    ]


def _at(chart: Chart, z: float) -> Growth:
    return Growth(chart, z, 100 * _NORMAL.cdf(z))


def _between(x: float, xs: Sequence[float], ys: Sequence[float]) -> float:
    """Return y at ``x``, in a straight line between the two neighbours of rising ``xs``."""
    upper = min(max(1, bisect_right(xs, x)), len(xs) - 1)
    share = (x - xs[upper - 1]) / (xs[upper] - xs[upper - 1])
    return ys[upper - 1] + share * (ys[upper] - ys[upper - 1])
