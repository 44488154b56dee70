"""Charts of HC for age: published figures, and where there is no answer."""

import math
import random

import pytest

from hcmodel.growth import AGES_WEEKS, Chart, NoGrowth, growth, hc_mm_at

INTERGROWTH_MM = {  # 3rd, 50th, 97th centile, Lancet 384:869
    14: (87.4, 97.9, 108.4),
    20: (158.5, 172.5, 186.5),
    28: (243.6, 260.4, 277.2),
    36: (299.2, 319.4, 339.6),
    40: (309.6, 333.9, 358.3),
}
WHO_MEDIAN_MM = {20: 173.4, 32: 296.0, 40: 342.1}


@pytest.mark.parametrize("weeks", INTERGROWTH_MM)
def test_intergrowth_gives_its_published_table(weeks: int) -> None:
    heads_mm = [hc_mm_at(weeks, centile, Chart.INTERGROWTH_2014) for centile in (3, 50, 97)]
    assert heads_mm == pytest.approx(INTERGROWTH_MM[weeks], abs=0.06)


@pytest.mark.parametrize("weeks", WHO_MEDIAN_MM)
def test_who_gives_its_published_median(weeks: int) -> None:
    assert hc_mm_at(weeks, 50, Chart.WHO_2017) == pytest.approx(WHO_MEDIAN_MM[weeks], abs=0.06)


@pytest.mark.parametrize("chart", Chart)
def test_centile_and_hc_are_each_others_inverse(chart: Chart) -> None:
    draw = random.Random(f"growth {chart}")
    for _ in range(200):
        weeks, centile = draw.uniform(*AGES_WEEKS), draw.uniform(2.6, 97.4)
        hc_mm = hc_mm_at(weeks, centile, chart)
        assert hc_mm is not None
        found = growth(hc_mm, weeks, chart)
        assert found.centile == pytest.approx(centile, abs=1e-6)
        assert found.z is not None
        assert math.erf(found.z / math.sqrt(2)) == pytest.approx(2 * centile / 100 - 1, abs=1e-8)


@pytest.mark.parametrize("chart", Chart)
def test_curves_never_cross(chart: Chart) -> None:
    centiles = (2.5, 5, 10, 25, 50, 75, 90, 95, 97.5)
    for day in range(14 * 7, 40 * 7 + 1):
        heads_mm = [hc_mm_at(day / 7, centile, chart) or 0 for centile in centiles]
        assert heads_mm == sorted(set(heads_mm)), day


@pytest.mark.parametrize("chart", Chart)
@pytest.mark.parametrize("weeks", [0.0, 13.99, 40.01, 45.0])
def test_an_age_outside_the_chart_has_no_centile(chart: Chart, weeks: float) -> None:
    found = growth(170.0, weeks, chart)
    assert (found.z, found.centile, found.reason) == (None, None, NoGrowth.AGE_OUTSIDE_CHART)
    assert hc_mm_at(weeks, 50, chart) is None


def test_who_says_nothing_beyond_its_outermost_curves() -> None:
    low_mm, high_mm = (hc_mm_at(25, centile, Chart.WHO_2017) for centile in (2.5, 97.5))
    assert low_mm is not None
    assert high_mm is not None
    assert growth(low_mm - 0.1, 25, Chart.WHO_2017).reason is NoGrowth.HC_BELOW_CHART
    assert growth(high_mm + 0.1, 25, Chart.WHO_2017).reason is NoGrowth.HC_ABOVE_CHART
    assert hc_mm_at(25, 2, Chart.WHO_2017) is None
    assert growth(high_mm + 0.1, 25, Chart.INTERGROWTH_2014).centile is not None
