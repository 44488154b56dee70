"""From a map to one ellipse: maps whose heads, borders, pieces and figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from hcmodel import ellipse_fit
from hcmodel.ellipse_fit import (
    _at_border,
    _on_hull,
    _residual,
    _sharpness,
    fit_head,
    fit_points,
)
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


def same_raster(shape: tuple[int, int] = SHAPE) -> Prepared:
    """An image of the raster's own size: what is seen there is the image itself."""
    return prepare(np.zeros(shape, np.uint8), whole_image(shape, shape, keep_aspect=True), shape)


def from_centre(centre: tuple[float, float], shape: tuple[int, int] = SHAPE) -> np.ndarray:
    y_px, x_px = np.mgrid[: shape[0], : shape[1]]
    return np.hypot(x_px - centre[0], y_px - centre[1])


def soft(distance_px: np.ndarray) -> np.ndarray:
    """A map with an edge two pixels wide, whose level line of 0.5 lies where the distance is 0."""
    return np.clip(0.5 - distance_px / 2, 0, 1).astype(np.float32)


def test_the_figures_of_a_known_map() -> None:
    """A circle of 80 px whose map says 0.9 within and 0.2 without."""
    away_px = from_centre((190.3, 120.6)) - 80
    probability = (0.2 + 0.7 * np.clip(0.5 - away_px, 0, 1)).astype(np.float32)
    fit = fit_head(probability, same_raster(), 0.55)
    assert fit is not None
    assert fit.ellipse.center_px == pytest.approx([190.3, 120.6], abs=0.01)
    assert fit.ellipse.semi_axis_b_px == pytest.approx(80, abs=0.02)
    assert fit.ellipse.semi_axis_a_px == pytest.approx(80, abs=0.02)
    band = np.abs(away_px) < 12  # 15 % of 80 px to both sides
    assert fit.sharpness == pytest.approx(np.abs(2 * probability[band] - 1).mean(), abs=0.002)
    inside = np.clip(0.5 - away_px, 0, 1)
    dice = 2 * (inside * probability).sum() / (inside.sum() + probability.sum())
    assert fit.soft_dice == pytest.approx(dice, abs=0.001)
    assert (fit.border_share, fit.largest_component_share) == (0, 1)
    assert fit.residual < 1e-3


def test_the_figures_of_a_long_head() -> None:
    """Its band is a share of the minor semi-axis: 9 px to both sides of the outline."""
    head = Ellipse(190.3, 120.6, 130, 60, 0.3)
    away_px = head.signed_distance_px(SHAPE)
    probability = np.clip(0.5 - away_px / 40, 0, 1).astype(np.float32)
    fit = fit_head(probability, same_raster())
    assert fit is not None
    figures = (fit.ellipse.semi_axis_a_px, fit.ellipse.semi_axis_b_px, fit.ellipse.angle_rad)
    assert figures == pytest.approx((130, 60, 0.3), abs=0.05)
    # On average 4.5 px away, where the map is 0.5 and a bit more than a tenth.
    assert fit.sharpness == pytest.approx(4.5 / 20, abs=0.005)
    inside = np.clip(0.5 - away_px, 0, 1)
    dice = 2 * (inside * probability).sum() / (inside.sum() + probability.sum())
    assert fit.soft_dice == pytest.approx(dice, abs=0.001)


def test_a_speck_beside_two_arcs_belongs_to_neither() -> None:
    skull = soft(from_centre((191.5, 128.0)) - 90)
    skull[:, 186:198] = 0
    speck = soft(from_centre((330.0, 30.0)) - 15)
    fit = fit_head(np.maximum(skull, speck), same_raster())
    assert fit is not None
    assert fit.ellipse.center_px == pytest.approx([191.5, 128], abs=1)
    assert fit.ellipse.semi_axis_a_px == pytest.approx(90, abs=2)


def test_a_piece_of_just_the_least_length_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two arcs, each the other's mirror image, where all of the longest is asked for."""
    skull = soft(from_centre((191.5, 128.0)) - 90)
    skull[:, 186:198] = 0
    assert (skull == skull[:, ::-1]).all()
    monkeypatch.setattr(ellipse_fit, "MIN_LINE_SHARE", 1.0)
    fit = fit_head(skull, same_raster())
    assert fit is not None
    assert fit.ellipse.semi_axis_b_px == pytest.approx(90, abs=2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", range(4))
def test_an_ellipse_with_a_number_that_is_none_is_none(
    monkeypatch: pytest.MonkeyPatch, place: int, bad: float
) -> None:
    points_px = Ellipse(0, 0, 50, 40, 0).points(40)
    figures = [0.0, 0.0, 80.0, 100.0]
    figures[place] = bad

    def fitted(_: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...], float]:
        return tuple(figures[:2]), tuple(figures[2:]), 0.0

    monkeypatch.setattr(ellipse_fit.cv2, "fitEllipseDirect", fitted)
    assert fit_points(points_px) is None


@pytest.mark.parametrize("wave", [0.004, 0.008])
def test_the_residual_is_the_waves(wave: float) -> None:
    """Root mean square: a wave's height over the square root of two, as a share of the axis."""
    centre = (190.0, 128.0)
    y_px, x_px = np.mgrid[: SHAPE[0], : SHAPE[1]]
    turn_rad = np.arctan2(y_px - centre[1], x_px - centre[0])
    radius_px = 90 * (1 + wave * np.cos(6 * turn_rad))
    fit = fit_head(soft(from_centre(centre) - radius_px), same_raster())
    assert fit is not None
    assert fit.residual == pytest.approx(wave / np.sqrt(2), rel=0.04)
    assert fit.ellipse.semi_axis_a_px == pytest.approx(90, abs=0.1)


def test_of_a_long_ellipse_the_residual_is_a_share_of_its_mean_semi_axis() -> None:
    """Half a pixel outside all around, along the normals."""
    ellipse = Ellipse(192, 128, 120, 60, 0.4)
    turn_rad = np.linspace(0, 2 * np.pi, 500, endpoint=False)
    normals = np.stack([np.cos(turn_rad) / 120, np.sin(turn_rad) / 60])
    normals /= np.linalg.norm(normals, axis=0)
    cos, sin = np.cos(0.4), np.sin(0.4)
    points_px = ellipse.points(500) + 0.5 * (np.array([[cos, -sin], [sin, cos]]) @ normals).T
    assert _residual(ellipse, points_px) == pytest.approx(0.5 / 90, rel=0.01)
    assert _residual(ellipse, ellipse.points(500)) == pytest.approx(0, abs=1e-12)
    with_centre = np.array([[0.0, 0.0], [2.0, 0.0]])
    assert _residual(Ellipse(0, 0, 2, 1, 0), with_centre[:1]) == np.inf
    assert _residual(Ellipse(0, 0, 2, 1, 0), with_centre) == np.inf
    assert _residual(Ellipse(0, 0, 2, 1, 0), with_centre[1:]) == 0


@pytest.mark.parametrize("side", ["left", "top", "right", "bottom"])
def test_the_share_at_each_border_is_that_of_the_level_line(side: str) -> None:
    """A circle that is cut 30 px from its centre of 90 px: a chord of 170 px, an arc of 344."""
    rows, columns = SHAPE
    centre = {
        "left": (30 - 0.5, 128.0),
        "top": (192.0, 30 - 0.5),
        "right": (columns - 0.5 - 30, 128.0),
        "bottom": (192.0, rows - 0.5 - 30),
    }[side]
    fit = fit_head(soft(from_centre(centre) - 90), same_raster())
    assert fit is not None
    # Along the chord a point a pixel, along the arc 1.27: where it crosses rows and columns.
    assert fit.border_share == pytest.approx(170 / (170 + 1.27 * 344), abs=0.02)
    assert fit.ellipse.center_px == pytest.approx(centre, abs=0.3)
    assert fit.ellipse.semi_axis_a_px == pytest.approx(90, abs=0.5)


def test_near_the_border_is_not_at_it() -> None:
    for gap_px, is_cut in ((2.2, False), (0.8, True)):
        fit = fit_head(soft(from_centre((90 + gap_px - 0.5, 128.0)) - 90), same_raster())
        assert fit is not None
        assert (fit.border_share > 0) is is_cut


def test_the_border_is_the_images_and_not_the_rasters() -> None:
    """A narrow image stands in the raster's middle: its own edges cut the head."""
    shape = (256, 160)
    view = prepare(np.zeros(shape, np.uint8), whole_image(shape, SHAPE, keep_aspect=True), SHAPE)
    away_px = from_centre((192 - 60, 128.0)) - 70  # the image begins at column 112
    away_px[:, :112] = 9
    fit = fit_head(soft(away_px), view)
    assert fit is not None
    assert 0.1 < fit.border_share < 0.5
    assert fit.ellipse.center_px == pytest.approx([20, 128], abs=1)


def test_of_two_bodies_the_larger_is_the_head_and_the_other_is_told() -> None:
    away_px = np.minimum(from_centre((120.0, 128.0)) - 80, from_centre((310.0, 128.0)) - 40)
    fit = fit_head(soft(away_px), same_raster())
    assert fit is not None
    assert fit.ellipse.center_px == pytest.approx([120, 128], abs=0.1)
    assert fit.ellipse.semi_axis_a_px == pytest.approx(80, abs=0.1)
    assert fit.largest_component_share == pytest.approx(0.8, abs=0.003)
    mirrored = fit_head(soft(away_px)[:, ::-1].copy(), same_raster())
    assert mirrored is not None
    assert mirrored.ellipse.center_px == pytest.approx([383 - 120, 128], abs=0.1)


def test_two_arcs_are_one_head_where_the_map_says_so() -> None:
    skull = soft(from_centre((192.0, 128.0)) - 100)
    skull[:, 186:198] = 0
    fit = fit_head(skull, same_raster())
    assert fit is not None
    assert fit.ellipse.center_px == pytest.approx([192, 128], abs=1)
    assert fit.ellipse.semi_axis_b_px == pytest.approx(100, abs=2)
    assert fit.largest_component_share == pytest.approx(0.5, abs=0.01)


def test_a_speck_is_no_piece() -> None:
    """Shorter than a quarter of the head's line, it does not pull the outline."""
    head = from_centre((150.0, 128.0)) - 80
    with_speck = np.minimum(head, from_centre((330.0, 60.0)) - 15)
    fits = [fit_head(soft(each), same_raster()) for each in (head, with_speck)]
    assert fits[0] is not None
    assert fits[1] is not None
    assert fits[1].ellipse == fits[0].ellipse
    assert fits[1].largest_component_share == pytest.approx(80**2 / (80**2 + 15**2), abs=0.002)


def test_the_smallest_head_covers_four_thousandths() -> None:
    """Of 384 x 256 pixels: a circle of 11.2 px."""
    for radius_px, is_head in ((11.4, True), (11.0, False)):
        fit = fit_head(soft(from_centre((192.0, 128.0)) - radius_px), same_raster())
        assert (fit is not None) is is_head


def test_a_notch_is_no_outline() -> None:
    away_px = from_centre((192.0, 128.0)) - 90
    notched = np.maximum(away_px, 30 - from_centre((282.0, 128.0)))
    fit = fit_head(soft(notched), same_raster())
    assert fit is not None
    assert fit.ellipse.center_px == pytest.approx([192, 128], abs=1)
    assert fit.ellipse.semi_axis_a_px == pytest.approx(90, abs=1.5)
    assert fit.ellipse.semi_axis_b_px == pytest.approx(90, abs=1.5)


def test_a_hole_is_no_piece() -> None:
    away_px = from_centre((192.0, 128.0)) - 90
    holed = np.maximum(away_px, 60 - from_centre((192.0, 128.0)))
    fit = fit_head(soft(holed), same_raster())
    assert fit is not None
    assert fit.largest_component_share == 1
    assert fit.ellipse.semi_axis_a_px == pytest.approx(90, abs=0.1)


def test_the_line_of_another_level_lies_elsewhere() -> None:
    probability = soft(from_centre((192.0, 128.0)) - 90)
    for level, radius_px in ((0.3, 90.4), (0.5, 90.0), (0.7, 89.6)):
        fit = fit_head(probability, same_raster(), level)
        assert fit is not None
        assert fit.ellipse.semi_axis_a_px == pytest.approx(radius_px, abs=0.03)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_map_with_a_number_that_is_none_has_no_head(bad: float) -> None:
    probability = soft(from_centre((192.0, 128.0)) - 90)
    probability[0, 0] = bad
    assert fit_head(probability, same_raster()) is None


@pytest.mark.parametrize("angle_rad", [0.0, 0.5, 2.0])
def test_points_on_an_ellipse_give_it_again(angle_rad: float) -> None:
    truth = Ellipse(1000.5, -700.25, 60, 41, angle_rad)
    for count in (5, 6, 200):
        found = fit_points(truth.points(count))
        assert found is not None
        assert found.center_px == pytest.approx(truth.center_px, abs=0.01)
        assert found.semi_axis_a_px == pytest.approx(60, abs=0.02)
        assert found.semi_axis_b_px == pytest.approx(41, abs=0.02)
        off_rad = (found.angle_rad - angle_rad + np.pi / 2) % np.pi - np.pi / 2
        assert off_rad == pytest.approx(0, abs=1e-3)


def test_points_that_are_no_ellipse_give_none() -> None:
    circle = Ellipse(0, 0, 50, 50, 0).points(40)
    assert fit_points(circle[:4]) is None
    assert fit_points(np.column_stack([np.arange(30.0), np.arange(30.0)])) is None
    far = circle.copy()
    far[3, 1] = 1e6
    assert fit_points(far) is None
    assert fit_points(circle * 0.019) is None  # across 1.9 px
    assert fit_points(circle * 0.021) is not None


@pytest.mark.parametrize(
    ("shape", "shift_px", "low_px", "high_px"),
    [
        (SHAPE, (0, 0), (1, 1), (382, 254)),
        ((100, 160), (50, 40), (51, 41), (208, 138)),  # the image ends within the raster
        ((600, 900), (-200, -150), (1, 1), (382, 254)),  # the raster ends within the image
        ((600, 160), (50, -150), (51, 1), (208, 254)),
    ],
)
def test_the_border_is_a_pixel_and_a_half_from_where_the_image_ends(
    shape: tuple[int, int],
    shift_px: tuple[float, float],
    low_px: tuple[float, float],
    high_px: tuple[float, float],
) -> None:
    to_network = np.array([[1.0, 0, shift_px[0]], [0, 1, shift_px[1]]])
    view = prepare(np.zeros(shape, np.uint8), to_network, SHAPE)
    middle = (np.array(low_px) + high_px) / 2
    for axis in (0, 1):
        places = [low_px[axis] - 0.02, low_px[axis], high_px[axis], high_px[axis] + 0.02]
        points_px = np.tile(middle, (4, 1))
        points_px[:, axis] = places
        assert _at_border(points_px, view).tolist() == [True, False, False, True]


def test_an_outline_lies_less_than_three_hundredths_below_its_hull() -> None:
    """Of a square of 100 px: less than 3 px, from whichever side."""
    square = np.array([[0.0, 0], [100, 0], [100, 100], [0, 100]])
    below = {2.9: True, 2.999: True, 3.0: False, 3.1: False, 50.0: False}
    for depth_px, is_outline in below.items():
        for point in ((50, depth_px), (100 - depth_px, 50), (40, 100 - depth_px), (depth_px, 60)):
            found = _on_hull(np.vstack([square, [point]]))
            assert found.tolist() == [True] * 4 + [is_outline]
    assert _on_hull(square[:3]).all()
    on_a_line = np.array([[0.0, 0], [10, 10], [20, 20]])
    assert _on_hull(on_a_line).tolist() == [False] * 3


def test_where_the_map_does_not_reach_the_band_nothing_is_sharp() -> None:
    away_px = Ellipse(900, 900, 50, 40, 0).signed_distance_px(SHAPE)
    assert _sharpness(away_px, 40, np.ones(SHAPE, np.float32)) == 0


def test_the_band_is_a_share_of_the_minor_semi_axis() -> None:
    """Of 60 px: 9 px to both sides."""
    signed_px = Ellipse(192, 128, 120, 60, 0.0).signed_distance_px(SHAPE)
    away_px = np.abs(signed_px)
    sure = np.where(away_px < 9, 1.0, 0.5).astype(np.float32)
    assert _sharpness(signed_px, 60, sure) == 1
    wavering = np.where(away_px < 8.8, 0.5, 1.0).astype(np.float32)
    in_band = away_px < 9
    assert _sharpness(signed_px, 60, wavering) == pytest.approx((away_px[in_band] >= 8.8).mean())
    assert _sharpness(signed_px, 60, wavering) > 0


def test_a_speck_too_small_for_a_head_does_not_hide_one() -> None:
    away_px = np.minimum(from_centre((150.0, 128.0)) - 80, from_centre((330.0, 60.0)) - 5)
    fit = fit_head(soft(away_px), same_raster())
    assert fit is not None
    assert fit.ellipse.center_px == pytest.approx([150, 128], abs=0.05)


def test_a_fit_far_from_the_origin_is_as_sharp() -> None:
    truth = Ellipse(9000.5, -40.25, 60, 41, 0.4)
    found = fit_points(truth.points(200))
    assert found is not None
    assert found.center_px == pytest.approx(truth.center_px, abs=2e-5)
    assert found.semi_axis_a_px == pytest.approx(60, abs=2e-5)


def block(rows: int, columns: int) -> np.ndarray:
    """A map of 48 x 64 that is 1 in a block: its level line has a point for each pixel's side."""
    probability = np.zeros((48, 64), np.float32)
    probability[20 : 20 + rows, 30 : 30 + columns] = 1
    return probability


@pytest.mark.parametrize(
    ("rows", "columns", "is_head"),
    [(4, 8, True), (3, 8, False), (3, 9, True)],  # 24 - 4, 22 - 3 and 24 - 3 points
)
def test_an_ellipse_takes_twenty_points(rows: int, columns: int, is_head: bool) -> None:
    """The image begins at the block's left side: so many points are its border's."""
    to_network = np.array([[1.0, 0, 30 - 1.25], [0, 1, -50]])
    view = prepare(np.zeros((200, 200), np.uint8), to_network, (48, 64))
    fit = fit_head(block(rows, columns), view)
    assert (fit is not None) is is_head


def test_a_line_of_twenty_points_is_a_piece() -> None:
    for rows, columns, is_head in ((5, 5, True), (5, 4, False)):  # 20 points and 18
        fit = fit_head(block(rows, columns), same_raster((48, 64)))
        assert (fit is not None) is is_head
