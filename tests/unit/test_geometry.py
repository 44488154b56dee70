"""Ellipses and pixel sizes: figures that can be followed on paper."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from hcmodel.geometry import Ellipse, Spacing, covered, perimeter
from hcmodel.spacing import is_size_mm


def exact_perimeter(a: float, b: float) -> float:
    turn = np.linspace(0, 2 * math.pi, 200_001)
    speed = np.hypot(a * np.sin(turn), b * np.cos(turn))
    return float(np.trapezoid(speed, turn))


@pytest.mark.parametrize(("a", "b"), [(60, 60), (62, 48), (55, 36), (30, 28)])
def test_perimeter_equals_the_integral(a: float, b: float) -> None:
    assert perimeter(a, b) == pytest.approx(exact_perimeter(a, b), abs=5e-4)


def test_circumference_of_a_circle_in_mm() -> None:
    circle = Ellipse(100, 80, 50, 50, 0.3)
    assert circle.circumference_mm(Spacing(0.2, 0.2)) == pytest.approx(2 * math.pi * 10)


@pytest.mark.parametrize("angle_rad", [0.0, 0.4, 1.2, 2.7])
def test_each_axis_is_scaled_by_its_own_pixel_size(angle_rad: float) -> None:
    head_mm = Ellipse(0, 0, 60, 45, angle_rad)
    spacing = Spacing(row_mm=0.20, column_mm=0.25)
    to_px = np.column_stack([np.diag([1 / 0.25, 1 / 0.20]), [300, 200]])
    in_pixels = head_mm.transformed(to_px)
    assert in_pixels.semi_axes_mm(spacing) == pytest.approx((60, 45))
    assert in_pixels.circumference_mm(spacing) == pytest.approx(perimeter(60, 45))
    swapped = in_pixels.circumference_mm(Spacing(0.25, 0.20))
    assert abs(swapped / perimeter(60, 45) - 1) > 0.003


def test_transform_moves_the_outline() -> None:
    ellipse = Ellipse(40, 30, 20, 12, 0.7)
    affine = np.array([[0.5, -0.2, 7], [0.3, 0.8, -4]])
    moved = ellipse.points(8) @ affine[:, :2].T + affine[:, 2]
    unit = (moved - ellipse.transformed(affine).center_px) @ np.linalg.inv(
        ellipse.transformed(affine).matrix
    ).T
    assert np.linalg.norm(unit, axis=1) == pytest.approx(np.ones(8))


def test_coverage_has_the_ellipses_area() -> None:
    ellipse = Ellipse(100.3, 70.6, 60, 41, 0.5)
    assert ellipse.coverage((150, 220)).sum() == pytest.approx(math.pi * 60 * 41, rel=1e-3)


def test_bounding_box_holds_the_points() -> None:
    ellipse = Ellipse(100, 70, 60, 41, 2.1)
    points = ellipse.points(2000)
    expected = (*points.min(axis=0), *points.max(axis=0))
    assert ellipse.bounding_box_px() == pytest.approx(expected, abs=1e-2)


@pytest.mark.parametrize("bad", [0.0, -0.1, math.nan, math.inf])
def test_spacing_must_be_a_positive_number(bad: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        Spacing(0.2, bad)


@pytest.mark.parametrize("bad", [0.0, -0.1, math.nan, math.inf])
def test_both_sizes_of_a_pixel_are_looked_at(bad: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        Spacing(bad, 0.2)


@pytest.mark.parametrize(
    ("changes", "is_proper"),
    [
        ({}, True),
        ({"semi_axis_b_px": 40.0}, True),
        ({"semi_axis_b_px": 40.001}, False),
        ({"semi_axis_b_px": 0.00101}, True),
        ({"semi_axis_b_px": 0.001}, False),
        ({"semi_axis_a_px": 999_999.0}, True),
        ({"semi_axis_a_px": 1e6}, False),
        *(
            ({name: value}, abs(value) < 1e6)
            for name in ("center_x_px", "center_y_px", "angle_rad")
            for value in (999_999.0, -999_999.0, 1e6, -1e6, math.inf)
        ),
        *(({name: math.nan}, False) for name in Ellipse.__slots__),
    ],
)
def test_what_an_image_can_hold_is_proper(changes: dict[str, float], is_proper: bool) -> None:
    assert replace(Ellipse(10, 20, 40, 30, 0.3), **changes).is_proper is is_proper


def test_a_scaled_ellipse_is_the_same_in_another_size() -> None:
    assert Ellipse(10, 20, 40, 30, 0.3).scaled(1.5) == Ellipse(10, 20, 60, 45, 0.3)


def test_points_go_once_around_from_the_major_axis_end() -> None:
    ellipse = Ellipse(100, 70, 60, 40, 0.0)
    quarters = [[160, 70], [100, 110], [40, 70], [100, 30]]
    assert ellipse.points(4) == pytest.approx(np.array(quarters, float))
    turned = Ellipse(100, 70, 60, 40, math.pi / 6).points(4)
    assert turned[0] == pytest.approx([100 + 60 * math.cos(math.pi / 6), 70 + 30])
    assert ellipse.points().shape == (360, 2)


def test_distances_are_those_of_the_first_order() -> None:
    """g over the length of its gradient, by differences, of g = |u| - 1 in the circle's frame."""
    shape, ellipse = (90, 140), Ellipse(63.2, 41.7, 38, 22, 0.6)

    def g(x_px: np.ndarray, y_px: np.ndarray) -> np.ndarray:
        along = x_px * math.cos(0.6) + y_px * math.sin(0.6)
        across = y_px * math.cos(0.6) - x_px * math.sin(0.6)
        return np.hypot(along / 38, across / 22) - 1

    y_px, x_px = np.mgrid[:90, :140].astype(float)
    x_px, y_px = x_px - 63.2, y_px - 41.7
    step = 1e-5
    slope_x = (g(x_px + step, y_px) - g(x_px - step, y_px)) / (2 * step)
    slope_y = (g(x_px, y_px + step) - g(x_px, y_px - step)) / (2 * step)
    expected_px = g(x_px, y_px) / np.hypot(slope_x, slope_y)
    found_px = ellipse.signed_distance_px(shape)
    assert found_px.shape == shape
    assert found_px.dtype == np.float32
    np.testing.assert_allclose(found_px, expected_px, atol=5e-3)


def test_a_circles_distance_is_exact_and_its_centre_far_inside() -> None:
    found_px = Ellipse(5, 4, 3, 3, 0).signed_distance_px((9, 12))
    y_px, x_px = np.mgrid[:9, :12]
    assert np.isfinite(found_px).all()
    assert found_px[4, 5] <= -3
    found_px[4, 5] = -3
    np.testing.assert_allclose(found_px, np.hypot(x_px - 5, y_px - 4) - 3, atol=2e-5)


def test_coverage_is_a_half_on_the_outline() -> None:
    seen = Ellipse(5, 4, 3, 3, 0).coverage((9, 12))
    assert seen[4, 8] == pytest.approx(0.5, abs=1e-4)
    assert (seen[4, 5], seen[4, 11], seen[4, 9]) == (1, 0, 0)
    assert Ellipse(5, 4, 3.2, 3.2, 0).coverage((9, 12))[4, 8] == pytest.approx(0.7, abs=1e-4)


def test_an_ellipse_has_one_angle() -> None:
    for angle_rad in (-0.3, 0.0, 1.0, 3.0, 4.0):
        found = Ellipse(0, 0, 40, 30, angle_rad).transformed(np.eye(2, 3))
        assert found.angle_rad == pytest.approx(angle_rad % math.pi, abs=1e-9)
        assert (found.semi_axis_a_px, found.semi_axis_b_px) == pytest.approx((40, 30))


def test_what_may_be_the_size_of_a_pixel() -> None:
    """From a micrometre to a decimetre."""
    assert all(map(is_size_mm, (0.001, 0.2, 99.9, 100.0)))
    below, above = math.nextafter(0.001, 0), math.nextafter(100, 101)
    assert not any(map(is_size_mm, (below, above, 0.0, -0.2, math.nan, math.inf)))
    assert Spacing(1e-9, 1e9).row_mm == 1e-9, "what is no size is for others to tell"


def test_the_semi_axes_stand_in_the_matrix_as_vectors() -> None:
    angle_rad = math.atan2(3, 4)
    matrix = Ellipse(7, 9, 50, 20, angle_rad).matrix
    assert matrix == pytest.approx(np.array([[40, -12], [30, 16]]))
    assert Ellipse(7, 9, 50, 20, angle_rad).center_px.tolist() == [7, 9]
    found = Ellipse.from_matrix(np.array([7.0, 9.0]), matrix)
    assert (found.center_x_px, found.center_y_px) == (7, 9)
    assert (found.semi_axis_a_px, found.semi_axis_b_px) == pytest.approx((50, 20))
    assert found.angle_rad == pytest.approx(angle_rad)
    with pytest.raises(np.linalg.LinAlgError):
        Ellipse.from_matrix(np.zeros(2), np.array([[1.0, 0], [0, math.nan]]))


def ends(found: np.ndarray) -> list[list[list[float]]]:
    """Two lines by their ends, the lesser end first: which one that is means nothing."""
    return [sorted(line.round(9).tolist()) for line in found]


def test_a_diameter_is_the_longest_in_mm_and_drawn_in_px() -> None:
    ellipse = Ellipse(100, 70, 60, 40, 0.0)
    across, down = [[40, 70], [160, 70]], [[100, 30], [100, 110]]
    assert ends(ellipse.diameters_px(Spacing(0.2, 0.2))) == [across, down]
    # 60 columns are 15 mm, 40 rows are 20 mm.
    high = Spacing(row_mm=0.5, column_mm=0.25)
    assert ends(ellipse.diameters_px(high)) == [down, across]
    assert ellipse.semi_axes_mm(high) == pytest.approx((20, 15))
    turned = Ellipse(100, 70, 50, 20, math.atan2(3, 4)).diameters_px(Spacing(0.2, 0.2))
    assert turned.shape == (2, 2, 2)
    assert ends(turned) == [[[60, 40], [140, 100]], [[88, 86], [112, 54]]]


def test_a_box_around_a_turned_ellipse() -> None:
    """Half its width: the hypotenuse of 40 and 12; half its height: of 30 and 16."""
    half_x_px, half_y_px = math.hypot(40, 12), math.hypot(30, 16)
    expected = (7 - half_x_px, 9 - half_y_px, 7 + half_x_px, 9 + half_y_px)
    box = Ellipse(7, 9, 50, 20, math.atan2(3, 4)).bounding_box_px()
    assert box == pytest.approx(expected)


def test_a_border_is_a_pixel_wide() -> None:
    away_px = np.array([-9, -0.5, -0.25, 0, 0.25, 0.5, 9], np.float32)
    assert covered(away_px).tolist() == [1, 1, 0.75, 0.5, 0.25, 0, 0]


def test_a_perimeter_by_ramanujan_to_the_last_digit() -> None:
    """Of semi-axes 3 and 1, h is a quarter: 4 pi (1 + 0.75 / (10 + sqrt 3.25))."""
    assert perimeter(3, 1) == pytest.approx(4 * math.pi * (1 + 0.75 / (10 + math.sqrt(3.25))))
    assert perimeter(1, 3) == perimeter(3, 1)
