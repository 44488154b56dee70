"""One HC of several images: the median, and an interval that narrows as it may."""

from __future__ import annotations

import random
from statistics import median, variance

import pytest

from hcmodel.study import (
    SHARED,
    Repeat,
    StudyHc,
    are_of_one_head,
    combined,
    narrowing,
    needed_share,
)


def test_one_image_is_itself() -> None:
    assert combined([Repeat(200.0, 4.0)]) == StudyHc(200.0, 1, None, 196.0, 204.0)
    assert combined([Repeat(200.0, None)]) == StudyHc(200.0, 1, None, None, None)


def test_three_images_by_hand() -> None:
    found = combined([Repeat(201.0, 3.0), Repeat(198.0, 4.0), Repeat(205.0, 5.0)], shared=0.5)
    own = 3.141592653589793 / (6 + 3.141592653589793 - 2)
    half_mm = 4.0 * (0.5 + 0.5 * own) ** 0.5
    assert (found.hc_mm, found.images) == (201.0, 3)
    assert found.sd_mm == pytest.approx(variance([201, 198, 205]) ** 0.5)
    assert found.low_mm == pytest.approx(201 - half_mm)
    assert found.high_mm == pytest.approx(201 + half_mm)


def test_an_interval_is_unknown_where_one_image_has_none() -> None:
    found = combined([Repeat(200.0, 4.0), Repeat(202.0, None)])
    assert (found.hc_mm, found.low_mm, found.high_mm) == (201.0, None, None)


def test_more_images_narrow_it_but_not_beyond_what_they_share() -> None:
    factors = [narrowing(count) for count in range(1, 60)]
    assert factors[0] == 1.0
    assert factors == sorted(factors, reverse=True)
    assert SHARED**0.5 < factors[-1] < SHARED**0.5 + 0.05
    assert narrowing(7, shared=1.0) == 1.0
    assert narrowing(2) == pytest.approx(0.84, abs=0.005)
    assert narrowing(5) == pytest.approx(0.68, abs=0.005)


@pytest.mark.parametrize("count", [1, 3, 5, 9])
def test_the_variance_of_a_median_is_that_of_drawn_ones(count: int) -> None:
    draw = random.Random(3)
    drawn = variance(median(draw.gauss(0, 1) for _ in range(count)) for _ in range(20_000))
    assert narrowing(count, shared=0.0) ** 2 == pytest.approx(drawn, rel=0.06)


def test_the_needed_share_is_what_just_holds_the_error() -> None:
    repeats = [Repeat(200.0, 4.0), Repeat(206.0, 4.0)]
    shared = needed_share(3.6, 4.0, 2)
    found = combined(repeats, shared)
    assert found.high_mm == pytest.approx(203.0 + 3.6)
    assert (needed_share(0.5, 4.0, 2), needed_share(9.0, 4.0, 2)) == (0.0, 1.0)


def test_sizes_a_quarter_apart_are_of_two_heads() -> None:
    assert are_of_one_head([200.0])
    assert are_of_one_head([180.0, 200.0, 230.0])
    assert not are_of_one_head([180.0, 200.0, 230.1])
