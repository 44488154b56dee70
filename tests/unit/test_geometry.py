import math
from dataclasses import replace

import numpy as np
import pytest

from hcmodel.geometry import Ellipse, Spacing, perimeter


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
