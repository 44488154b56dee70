import math
from dataclasses import replace

import numpy as np
import pytest

from hcmodel.evaluation.metrics import (
    Case,
    coverage,
    dice,
    figures,
    hausdorff_mm,
    reliability,
    repeatability,
    trust,
    worst,
)
from hcmodel.geometry import Ellipse, Spacing

SPACING = Spacing(0.25, 0.25)
TRUTH = Ellipse(200, 150, 100, 80, 0.3)


def case(name: str, truth_mm: float, hc_mm: float | None) -> Case:
    ellipse = None if hc_mm is None else TRUTH
    return Case(
        name, name, (300, 400), SPACING, TRUTH, truth_mm, ellipse, hc_mm, None, None, 0.9, (), None
    )


def test_dice_and_hausdorff_of_concentric_circles() -> None:
    small, large = Ellipse(200, 150, 80, 80, 0), Ellipse(200, 150, 100, 100, 0)
    assert dice(small, large, (300, 400)) == pytest.approx(2 * 0.64 / 1.64, abs=0.003)
    assert hausdorff_mm(small, large, SPACING) == pytest.approx(5.0, abs=0.01)
    assert dice(small, small, (300, 400)) == 1
    assert hausdorff_mm(small, small, SPACING) == 0


def test_hausdorff_scales_each_axis() -> None:
    moved = Ellipse(210, 150, 100, 80, 0.3)
    assert hausdorff_mm(TRUTH, moved, Spacing(9.0, 0.5)) <= 5.0 + 1e-6


def test_figures_count_refusals_and_group_by_age() -> None:
    cases = [case("a", 80, 82), case("b", 180, 177), case("c", 320, 321), case("d", 320, None)]
    overall, *groups = figures(cases)
    assert (overall.images, overall.refused) == (4, 1)
    assert overall.adf_mm == pytest.approx(2.0)
    assert overall.df_mm == pytest.approx(0.0)
    assert [group.group for group in groups] == ["below 14 weeks", "14-28 weeks", "above 28 weeks"]
    assert [group.adf_mm for group in groups] == pytest.approx([2, 3, 1])
    assert [each.name for each in worst(cases)] == ["b", "a", "c"]


def sure(name: str, error_mm: float, confidence: float, half_mm: float) -> Case:
    hc_mm = 180 + error_mm
    answer = replace(case(name, 180, hc_mm), confidence=confidence)
    return replace(answer, hc_low_mm=hc_mm - half_mm, hc_high_mm=hc_mm + half_mm)


def test_trust_ranks_by_confidence() -> None:
    cases = [sure("a", 1, 0.9, 2), sure("b", -3, 0.7, 2), sure("c", 12, 0.8, 20)]
    flagged = replace(sure("d", 7, 0.1, 8), flags=("low-confidence",))
    found = trust([*cases, flagged, case("e", 180, None)])
    assert found is not None
    assert (found.unflagged_above_6_mm, found.unflagged_above_10_mm) == (1, 1)
    assert (found.flagged_percent, found.refused_percent) == pytest.approx((20, 20))
    # In order of confidence the errors are 1, 12, 3, 7 mm; 80 % of four images are three.
    assert found.adf_confident_mm == pytest.approx(16 / 3)
    assert found.aurc_confidence_mm == pytest.approx((1 + 6.5 + 16 / 3 + 23 / 4) / 4)
    assert found.aurc_oracle_mm == pytest.approx((1 + 2 + 11 / 3 + 23 / 4) / 4)
    assert found.aurc_random_mm == pytest.approx(23 / 4)
    assert trust([case("e", 180, None)]) is None


def test_intervals_are_counted_where_they_hold_the_truth() -> None:
    cases = [sure("a", 1, 0.9, 2), sure("b", -3, 0.7, 2), case("c", 180, 181)]
    overall, middle = coverage(cases)
    assert (overall.images, middle.group) == (2, "14-28 weeks")
    assert (overall.covered_percent, overall.width_mm) == pytest.approx((50, 4))
    assert coverage([case("c", 180, 181)]) == []


def test_reliability_compares_confidence_with_what_came_true() -> None:
    low, high = reliability([sure("a", 1, 0.9, 2), sure("b", -5, 0.3, 2)], bins=2)
    assert (low.confidence, low.within) == (0.3, 0.0)
    assert (high.confidence, high.within) == (0.9, 1.0)


def test_repeatability_tells_the_labels_spread_from_that_of_the_measured() -> None:
    """Given pairs whose labels and answers err on their own, then each gets its own spread back."""
    rng = np.random.default_rng(3)
    cases = []
    for exam in range(4000):
        for number, seen_mm in enumerate(180 + rng.normal(0, 4, 2)):
            truth_mm, hc_mm = seen_mm + rng.normal(0, 2), seen_mm + rng.normal(0, 1)
            one = case(f"{exam}-{number}", truth_mm, hc_mm)
            cases.append(replace(one, exam=str(exam)))
    flagged = replace(case("wrong", 180, 300), exam="0", flags=("low-confidence",))
    copied = [replace(case(name, 180, 181), exam="copied") for name in ("one", "other")]
    overall, middle = repeatability(
        [*cases, *copied, flagged, replace(case("refused", 180, None), exam="0")]
    )
    assert (overall.pairs, middle.group) == (4000, "14-28 weeks")
    assert overall.truth_sd_mm == pytest.approx(2, rel=0.1)
    assert overall.measured_sd_mm == pytest.approx(1, rel=0.2)
    assert overall.truth_apart_mm == pytest.approx(math.sqrt(2 * 20 * 2 / math.pi), rel=0.05)
    assert overall.measured_apart_mm == pytest.approx(math.sqrt(2 * 17 * 2 / math.pi), rel=0.05)
    assert repeatability([case("alone", 180, 181)]) == []
