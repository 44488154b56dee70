"""What the gate sees of an outline does not depend on where it lies, how large and how turned."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hcmodel.arrays import GreyImage
from hcmodel.gate import COLUMNS, ROWS, SEMI_AXIS_PX, axis_ratio, gate_tensor, seen_along
from hcmodel.geometry import Ellipse


def drawn(outline: Ellipse, shape: tuple[int, int] = (540, 800)) -> GreyImage:
    """Bright within the outline, and brighter still in the half towards its first axis' end."""
    y_px, x_px = np.mgrid[: shape[0], : shape[1]].astype(float)
    from_centre = np.stack([x_px - outline.center_x_px, y_px - outline.center_y_px])
    circle = np.einsum("ij,jyx->iyx", np.linalg.inv(outline.matrix), from_centre)
    axis = np.array([math.cos(outline.angle_rad), math.sin(outline.angle_rad)])
    ahead = np.einsum("i,iyx->yx", axis, from_centre) > 0
    inside = (circle**2).sum(axis=0) <= 1
    return (inside * (120 + 80 * ahead)).astype(np.uint8)


@pytest.mark.parametrize("seed", range(12))
def test_every_outline_lies_alike(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a_px = rng.uniform(40, 200)
    angle_rad = rng.uniform(-1.4, 1.4)  # turned by less than a quarter
    outline = Ellipse(rng.uniform(300, 500), rng.uniform(230, 310), a_px, 0.8 * a_px, angle_rad)
    seen = seen_along(drawn(outline), outline)
    assert seen.shape == (ROWS, COLUMNS)
    row, column = (ROWS - 1) / 2, (COLUMNS - 1) / 2
    y_px, x_px = np.mgrid[:ROWS, :COLUMNS]
    radius = np.hypot((x_px - column) / SEMI_AXIS_PX, (y_px - row) / (0.8 * SEMI_AXIS_PX))
    assert seen[radius < 0.9].min() >= 100
    assert seen[radius > 1.12].max() == 0
    right = (radius < 0.9) & (x_px > column + 3)
    left = (radius < 0.9) & (x_px < column - 3)
    assert (seen[right].mean() > seen[left].mean() + 50) == (abs(angle_rad) < math.pi / 2)


def test_pixels_that_are_not_square_are_seen_as_the_body_is() -> None:
    outline = Ellipse(400, 270, 120, 90, 0.0)
    flat = Ellipse(400, 270, 180, 120, 0.0)
    assert axis_ratio(outline) == pytest.approx(0.75)
    assert axis_ratio(flat, pixel_aspect=1.2) == pytest.approx(0.8)
    seen = seen_along(drawn(flat), flat, pixel_aspect=1.2)
    height = (seen[:, COLUMNS // 2] > 60).sum()
    assert height == pytest.approx(2 * 0.8 * SEMI_AXIS_PX, abs=2)


@pytest.mark.parametrize("centre", [(-500.0, -500.0), (5.0, 5.0), (2000.0, 100.0)])
def test_beyond_the_image_all_is_black(centre: tuple[float, float]) -> None:
    white = np.full((200, 300), 255, np.uint8)
    seen = seen_along(white, Ellipse(*centre, 60, 50, 0.3))
    assert seen.shape == (ROWS, COLUMNS)
    assert (seen == 0).any()


def test_gain_and_offset_change_nothing() -> None:
    rng = np.random.default_rng(3)
    crops = rng.integers(40, 120, (2, ROWS, COLUMNS)).astype(np.uint8)
    plain = gate_tensor(crops, [0.8, 0.8])
    lifted = gate_tensor((crops + 60).astype(np.uint8), [0.8, 0.8])
    assert plain.shape == (2, ROWS, COLUMNS, 2)
    assert plain.dtype == np.float32
    np.testing.assert_allclose(plain, lifted, atol=1e-4)
    assert plain[0, ROWS // 2, COLUMNS // 2, 1] == pytest.approx(-1, abs=0.05)
    assert np.isfinite(gate_tensor(np.zeros((1, ROWS, COLUMNS), np.uint8), [1.0])).all()
