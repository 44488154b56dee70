import pytest

from hcmodel.geometry import Ellipse, Spacing
from hcmodel.training.evaluate import Case, dice, figures, hausdorff_mm, worst

SPACING = Spacing(0.25, 0.25)
TRUTH = Ellipse(200, 150, 100, 80, 0.3)


def case(name: str, truth_mm: float, hc_mm: float | None) -> Case:
    ellipse = None if hc_mm is None else TRUTH
    return Case(name, (300, 400), SPACING, TRUTH, truth_mm, ellipse, hc_mm, 0.9, (), None)


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
