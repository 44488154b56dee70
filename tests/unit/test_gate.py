"""What the gate sees of an outline does not depend on where it lies, how large and how turned."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hcmodel.arrays import GreyImage
from hcmodel.gate import (
    CHANNELS,
    COLUMNS,
    ROWS,
    SEMI_AXIS_PX,
    axis_ratio,
    gate_tensor,
    seen_along,
)
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


@pytest.mark.parametrize("pixel_aspect", [1.0, 1.5])
@pytest.mark.parametrize("turn_rad", [0.0, 0.5, -1.2, 2.0])
@pytest.mark.parametrize("semi_axis_px", [20.0, 36.0, 150.0])
def test_each_pixel_lies_where_the_outline_puts_it(
    semi_axis_px: float, turn_rad: float, pixel_aspect: float
) -> None:
    """On a ramp of grey each pixel shows its place in the image."""
    flat = np.array([[1.0, 0, 0], [0, 1 / pixel_aspect, 0]])
    shape = (700, 900)
    outline = Ellipse(430.3, 340.8, semi_axis_px, 0.8 * semi_axis_px, turn_rad).transformed(flat)
    y_px, x_px = np.mgrid[: shape[0], : shape[1]]
    turn_rad = turn_rad if turn_rad < math.pi / 2 else turn_rad - math.pi
    row, column = np.mgrid[:ROWS, :COLUMNS]
    across = (column - 51.5) * semi_axis_px / 36
    down = (row - 39.5) * semi_axis_px / 36
    seen_x = 430.3 + across * math.cos(turn_rad) - down * math.sin(turn_rad)
    seen_y = (340.8 + across * math.sin(turn_rad) + down * math.cos(turn_rad)) / pixel_aspect
    slope = 1.37 * 36 / semi_axis_px  # levels to a pixel: 1.37 to one of the raster
    for ramp, middle, place in ((x_px, 430.3, seen_x), (y_px, 340.8 / pixel_aspect, seen_y)):
        grey = np.clip(np.rint(128 + slope * (ramp - middle)), 0, 255).astype(np.uint8)
        off = seen_along(grey, outline, pixel_aspect) - (128 + slope * (place - middle))
        assert np.abs(off).max() < 2
        assert abs(off.mean()) < 0.3


def test_stripes_around_a_large_outline_are_averaged() -> None:
    for axis in (0, 1):
        stripes = np.zeros((900, 1200), np.uint8)
        stripes[(slice(None, None, 2), slice(None))[:: 1 - 2 * axis]] = 200
        seen = seen_along(stripes, Ellipse(600, 450, 288, 220, 0.0))
        assert np.abs(seen.astype(int) - 100).max() <= 2


@pytest.mark.parametrize("centre_x_px", [600.0, 600.5, 601.0, 601.5])
def test_columns_are_averaged_as_columns_however_the_outline_is_turned(centre_x_px: float) -> None:
    """Pixels twice as high as wide, upright: four columns to one step, and two rows."""
    for axis, width in ((0, 2), (1, 1)):
        lines = np.arange(1200)[:, None] if axis else np.arange(1200)[None]
        stripes = np.asarray(200 * (lines // width % 2) + np.zeros((1200, 1200)), np.uint8)
        upright = Ellipse(centre_x_px, 600.0, 100, 72, 0.0)  # 72 rows are as long as 144 columns
        seen = seen_along(stripes, upright, pixel_aspect=2.0)
        assert np.abs(seen.astype(int) - 100).max() <= 2


def test_a_small_outline_is_seen_between_its_pixels() -> None:
    """Two steps to a pixel: a quarter of one, and three quarters, from the middle of a line."""
    for axis in (0, 1):
        line = np.zeros((301, 301), np.uint8)
        line[(slice(None), 150)[:: 1 - 2 * axis]] = 200
        seen = seen_along(line, Ellipse(150.0, 150.0, 18.0, 15.0, 0.0))
        across, middle = (seen[:, 50], 39) if axis else (seen[40], 51)
        assert across[middle - 2 : middle + 4].tolist() == [0, 50, 150, 150, 50, 0]


def test_another_raster_and_size_may_be_asked_for() -> None:
    outline = Ellipse(400, 270, 120, 96, 0.0)
    seen = seen_along(drawn(outline), outline, raster=(40, 52), semi_axis_px=18.0)
    assert seen.shape == (40, 52)
    assert (seen[20] > 60).sum() == pytest.approx(36, abs=1)
    assert (seen[:, 26] > 60).sum() == pytest.approx(28.8, abs=1.5)


def test_the_borders_of_the_image_are_seen() -> None:
    """An outline in each corner: what the image has there is seen to its last pixel."""
    white = np.full((200, 300), 255, np.uint8)
    for x_px, y_px in ((0.0, 0.0), (299.0, 0.0), (0.0, 199.0), (299.0, 199.0)):
        seen = seen_along(white, Ellipse(x_px, y_px, 36, 30, 0.0))
        assert (seen == 255).mean() == pytest.approx(0.25, abs=0.01)
        assert (seen == 0).mean() == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("shape", [(1, 900), (900, 1), (1, 1)])
def test_any_image_is_seen(shape: tuple[int, int]) -> None:
    line = np.full(shape, 200, np.uint8)
    assert seen_along(line, Ellipse(0, 0, 2000, 900, 0.3)).shape == (ROWS, COLUMNS)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_line_of_one_pixel_is_seen_as_wide_as_it_is(axis: int) -> None:
    """An outline of the raster's own scale, its centre a quarter of a pixel beside the line."""
    line = np.full((1, 300) if axis else (300, 1), 200, np.uint8)
    centre = (150.5, 0.25) if axis else (0.25, 150.5)
    seen = seen_along(line, Ellipse(*centre, 36.0, 30.0, 0.0)).astype(int)
    across = seen[:, 52] if axis else seen[40]
    middle = 39 if axis else 51
    assert across[middle - 1 : middle + 3].tolist() == [0, 150, 50, 0]


def test_grey_and_distance_to_the_last_digit() -> None:
    crops = np.zeros((2, ROWS, COLUMNS), np.uint8)
    crops[0, :, ::2] = 100  # mean 50, deviation 50
    crops[1] = 30
    crops[1, ::2] = 50  # mean 40, deviation 10
    tensor = gate_tensor(crops, [0.5, 1.0])
    assert tensor.shape == (2, 80, 104, 2) == (2, ROWS, COLUMNS, CHANNELS)
    assert tensor[0, 0, :2, 0].tolist() == pytest.approx([50 / 58, -50 / 58])
    assert tensor[1, :2, 0, 0].tolist() == pytest.approx([10 / 18, -10 / 18])
    row, column = np.mgrid[:80, :104]
    for crop, ratio in ((0, 0.5), (1, 1.0)):
        beyond = np.hypot((column - 51.5) / 36, (row - 39.5) / 36 / ratio) - 1
        np.testing.assert_allclose(tensor[crop, ..., 1], np.minimum(beyond, 1), atol=1e-5)
