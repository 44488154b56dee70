"""Ages by published values, and both sides of each limit."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from hcmodel.gestational_age import (
    FORMULAS,
    hadlock_1984_weeks,
    intergrowth_2016_weeks,
    trimester,
    trimester_at,
)

CHECK = [
    (68, 12.726, 11.528),
    (100, 14.660, 14.188),
    (150, 18.073, 18.181),
    (200, 22.160, 22.355),
    (250, 27.148, 27.115),
    (300, 33.260, 32.956),
    (346.4, 40.135, 39.952),
]


@pytest.mark.parametrize(("hc_mm", "hadlock", "intergrowth"), CHECK)
def test_published_values(hc_mm: float, hadlock: float, intergrowth: float) -> None:
    assert hadlock_1984_weeks(hc_mm) == pytest.approx(hadlock, abs=1e-3)
    assert intergrowth_2016_weeks(hc_mm) == pytest.approx(intergrowth, abs=1e-3)


@pytest.mark.parametrize(
    ("formula", "inside", "outside"),
    [
        (hadlock_1984_weeks, (68.0, 360.0), (67.99, 360.01)),
        (intergrowth_2016_weeks, (55.0, 360.0), (54.99, 360.01)),
    ],
)
def test_no_age_outside_the_formulas_range(
    formula: Callable[[float], float | None],
    inside: tuple[float, ...],
    outside: tuple[float, ...],
) -> None:
    assert None not in map(formula, inside)
    assert [formula(hc_mm) for hc_mm in outside] == [None, None]


def test_each_formula_has_its_name() -> None:
    assert {
        "hadlock-1984": hadlock_1984_weeks,
        "intergrowth-2016": intergrowth_2016_weeks,
    } == FORMULAS


def test_trimesters() -> None:
    """Hadlock's curve reaches 14 weeks at 89.37 mm, 28 weeks at 257.61 mm."""
    found = [trimester(hc_mm) for hc_mm in (60, 89.3, 89.4, 180, 257.6, 257.7, 320)]
    assert found == [*["below 14 weeks"] * 2, *["14-28 weeks"] * 3, *["above 28 weeks"] * 2]


def test_a_known_age_has_its_trimester() -> None:
    below, above = math.nextafter(14, 0), math.nextafter(28, 99)
    found = [trimester_at(weeks) for weeks in (9.0, below, 14, 20.5, 28, above, 42.0)]
    assert found == [*["below 14 weeks"] * 2, *["14-28 weeks"] * 3, *["above 28 weeks"] * 2]
