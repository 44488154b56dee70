import math

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
