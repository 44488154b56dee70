"""Ours against theirs: figures worked out by hand and by simulation."""

import math
import random

import pytest

from hcmodel.agreement import ALL, Pair, agreements, student_t_975, worst
from hcmodel.gestational_age import EARLY, LATE, MIDDLE


def test_figures_of_four_pairs_by_hand() -> None:
    pairs = [Pair(str(i), 200.0 + d, 200.0) for i, d in enumerate((1.0, 3.0, -2.0, 2.0))]
    (all_pairs, group) = agreements(pairs)
    assert (all_pairs.group, group.group, all_pairs.pairs) == (ALL, MIDDLE, 4)
    sd_mm = math.sqrt(14 / 3)  # of 1, 3, -2, 2 around their mean of 1
    assert all_pairs.bias_mm.value == pytest.approx(1.0)
    assert all_pairs.sd_mm == pytest.approx(sd_mm)
    assert all_pairs.absolute_mm == pytest.approx(2.0)
    assert all_pairs.relative_percent == pytest.approx(1.0)
    assert all_pairs.lower_mm is not None
    assert all_pairs.upper_mm is not None
    assert all_pairs.upper_mm.value == pytest.approx(1 + 1.96 * sd_mm)
    assert all_pairs.lower_mm.value == pytest.approx(1 - 1.96 * sd_mm)
    assert all_pairs.bias_mm.high == pytest.approx(1 + 3.1824 * sd_mm / 2, abs=1e-3)
    half_mm = 3.1824 * sd_mm * math.sqrt(1 / 4 + 1.96**2 / 6)
    assert all_pairs.upper_mm.low == pytest.approx(1 + 1.96 * sd_mm - half_mm, abs=1e-3)


def test_one_pair_has_no_spread() -> None:
    (found, _) = agreements([Pair("a", 101.0, 100.0)])
    assert (found.bias_mm.value, found.bias_mm.low, found.sd_mm) == (1.0, None, None)
    assert found.lower_mm is found.upper_mm is None


def test_no_pair_is_no_group() -> None:
    assert agreements([]) == []


def test_the_known_age_counts_before_the_size() -> None:
    assert Pair("a", 170, 170).trimester == MIDDLE
    assert Pair("a", 170, 170, ga_weeks=13.9).trimester == EARLY
    assert Pair("a", 170, 170, ga_weeks=30).trimester == LATE
    assert Pair("a", 320, 320).trimester == LATE


def test_worst_pairs_come_first() -> None:
    pairs = [Pair(str(d), 200 + d, 200) for d in (1, -9, 4, 0, 7)]
    assert [pair.name for pair in worst(pairs, 3)] == ["-9", "7", "4"]


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    draw = random.Random(7)
    held_bias = held_limit = 0
    rounds, count, bias_mm, sd_mm = 2000, 12, 0.8, 2.5
    for _ in range(rounds):
        pairs = [Pair("", 200 + draw.gauss(bias_mm, sd_mm), 200.0) for _ in range(count)]
        found = agreements(pairs)[0]
        assert found.upper_mm is not None
        low, high = found.bias_mm.low or 0, found.bias_mm.high or 0
        held_bias += low <= bias_mm <= high
        low, high = found.upper_mm.low or 0, found.upper_mm.high or 0
        held_limit += low <= bias_mm + 1.96 * sd_mm <= high
    assert held_bias / rounds == pytest.approx(0.95, abs=0.02)
    assert held_limit / rounds == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize(
    ("degrees", "t"), [(1, 12.7062), (9, 2.2622), (10, 2.2281), (30, 2.0423), (500, 1.9647)]
)
def test_students_t_is_that_of_the_tables(degrees: int, t: float) -> None:
    assert student_t_975(degrees) == pytest.approx(t, abs=3e-4)
