import numpy as np
import pytest

from hcmodel.ellipse_fit import fit_head
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.preprocess import Prepared, around, prepare, whole_image

SHAPE = (256, 384)


def prepared(*, keep_aspect: bool = True) -> Prepared:
    whole = whole_image((540, 800), SHAPE, keep_aspect=keep_aspect)
    return prepare(np.zeros((540, 800), np.uint8), whole, SHAPE)


def map_of(head: Ellipse, view: Prepared) -> np.ndarray:
    return head.transformed(view.to_network).coverage(SHAPE)


@pytest.mark.parametrize("angle_rad", [0.0, 0.6, 1.5, 2.4])
def test_finds_the_ellipse_to_a_fraction_of_a_pixel(angle_rad: float) -> None:
    view, head = prepared(), Ellipse(410.2, 266.7, 190, 148, angle_rad)
    fit = fit_head(map_of(head, view), view)
    assert fit is not None
    spacing = Spacing(0.25, 0.25)
    truth_mm = head.circumference_mm(spacing)
    assert fit.ellipse.circumference_mm(spacing) == pytest.approx(truth_mm, abs=0.05)
    assert fit.ellipse.center_px == pytest.approx(head.center_px, abs=0.05)
    assert fit.soft_dice > 0.99
    assert fit.residual < 0.002


def test_a_squashed_input_is_undone_per_axis() -> None:
    view = prepared(keep_aspect=False)
    head = Ellipse(400, 270, 200, 150, 0.5)
    fit = fit_head(map_of(head, view), view)
    assert fit is not None
    assert fit.ellipse.semi_axis_a_px == pytest.approx(200, abs=0.1)
    assert fit.ellipse.semi_axis_b_px == pytest.approx(150, abs=0.1)


def test_a_head_cut_by_the_border_is_completed_and_shown() -> None:
    view, head = prepared(), Ellipse(400, 170, 230, 185, 0.0)
    fit = fit_head(map_of(head, view), view)
    assert fit is not None
    assert fit.ellipse.semi_axis_b_px == pytest.approx(185, abs=1)
    assert fit.border_share > 0.1


def test_a_head_seen_from_near_is_the_same_head() -> None:
    head = Ellipse(150.3, 90.4, 44, 36, 0.8)
    first = Ellipse(152, 89, 46, 35, 0.7)
    view = prepare(np.zeros((540, 800), np.uint8), around(first, SHAPE), SHAPE)
    fit = fit_head(map_of(head, view), view)
    assert fit is not None
    assert fit.border_share == 0
    assert fit.ellipse.center_px == pytest.approx(head.center_px, abs=0.02)
    assert fit.ellipse.semi_axis_a_px == pytest.approx(44, abs=0.02)


def test_where_the_raster_ends_there_is_no_skull() -> None:
    head = Ellipse(150.3, 90.4, 44, 36, 0.0)
    view = prepare(
        np.zeros((540, 800), np.uint8), around(Ellipse(150, 110, 36, 30, 0), SHAPE), SHAPE
    )
    fit = fit_head(map_of(head, view), view)
    assert fit is not None
    assert fit.border_share > 0.1
    assert fit.ellipse.semi_axis_a_px == pytest.approx(44, abs=0.5)


def test_a_skull_in_two_arcs_is_fitted_whole() -> None:
    view, head = prepared(), Ellipse(400, 270, 200, 150, 0.0)
    broken = map_of(head, view)
    broken[:, 185:200] = 0
    fit = fit_head(broken, view)
    assert fit is not None
    assert fit.largest_component_share < 0.6
    assert fit.ellipse.semi_axis_a_px == pytest.approx(200, rel=0.05)


def test_holes_do_not_pull_the_outline() -> None:
    view, head = prepared(), Ellipse(400, 270, 200, 150, 0.3)
    holed = map_of(head, view) - map_of(Ellipse(420, 250, 90, 60, 0.0), view)
    fit = fit_head(holed, view)
    assert fit is not None
    assert fit.ellipse.semi_axis_a_px == pytest.approx(200, abs=0.1)


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_an_even_map_has_no_head(level: float) -> None:
    assert fit_head(np.full(SHAPE, level, np.float32), prepared()) is None


def test_specks_are_no_head() -> None:
    view = prepared()
    assert fit_head(map_of(Ellipse(400, 270, 12, 9, 0), view), view) is None
