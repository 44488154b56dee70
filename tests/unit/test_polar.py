"""Unrolling around an ellipse, and back: offsets that are known give the ellipse again."""

from __future__ import annotations

import numpy as np
import pytest

from hcmodel.geometry import Ellipse
from hcmodel.polar import (
    COLUMNS,
    DIRECTIONS,
    REACH,
    ROWS,
    _reached,
    corrected,
    offsets,
    outline_tensor,
    unrolled,
)

SHAPE = (540, 800)
HEAD = Ellipse(390.0, 260.0, 205.0, 160.0, 0.4)
START = Ellipse(398.0, 255.0, 198.0, 166.0, 0.47)


def test_offsets_and_the_way_back() -> None:
    found = corrected(START, offsets(START, HEAD))
    assert found is not None
    assert found.ellipse.center_px == pytest.approx(HEAD.center_px, abs=0.01)
    assert found.ellipse.semi_axis_a_px == pytest.approx(205, abs=0.01)
    assert found.ellipse.semi_axis_b_px == pytest.approx(160, abs=0.01)
    assert found.residual < 1e-4
    wavy = offsets(START, HEAD) + 0.01 * np.sin(5 * np.arange(DIRECTIONS))
    again = corrected(START, wavy)
    assert again is not None
    assert again.residual == pytest.approx(0.01 / np.sqrt(2), rel=0.2)


def test_offsets_of_what_is_no_ellipse_give_none() -> None:
    assert corrected(START, np.full(DIRECTIONS, -1.0)) is None


@pytest.mark.parametrize("pixel_height", [1.0, 1.4])
def test_the_edge_lies_where_the_offsets_say(pixel_height: float) -> None:
    """Given a bright disc, then each direction's column falls to black at its offset."""
    flat = np.array([[1.0, 0, 0], [0, 1 / pixel_height, 0]])
    head, start = HEAD.transformed(flat), START.transformed(flat)
    band = unrolled(np.asarray(255 * head.coverage(SHAPE), np.uint8), start)
    assert band.shape == (ROWS, COLUMNS)
    bright = (band.astype(float) / 255).sum(axis=0)  # rows, from inside, up to the edge
    edges = REACH * (2 * bright / ROWS - 1)
    each = COLUMNS // DIRECTIONS
    # A direction lies between two columns' centres.
    between = edges.reshape(DIRECTIONS, each)[:, each // 2 - 1 : each // 2 + 1].mean(axis=1)
    assert between == pytest.approx(offsets(start, head), abs=0.003)


def test_up_stays_up_whatever_the_angle() -> None:
    """The first quarter of the band lies below the centre: y grows downwards."""
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[270:] = 200
    for angle_rad in (0.0, 0.6, 1.6, 3.0):
        band = unrolled(pixels, Ellipse(400, 269.5, 120, 100, angle_rad))
        assert (band[:, 2 : COLUMNS // 2 - 2] == 200).all()
        assert (band[:, COLUMNS // 2 + 2 : -2] == 0).all()


def test_beyond_the_image_all_is_black() -> None:
    band = unrolled(np.full(SHAPE, 90, np.uint8), Ellipse(20, 270, 120, 100, 0.0))
    assert (band[:, COLUMNS // 2 - 4 : COLUMNS // 2 + 4] == 0).all()
    assert (band[:, :4] == 90).all()


def test_each_pixel_of_the_band_lies_at_its_radius_and_direction() -> None:
    """On a ramp of grey each shows its place: from 0.72 to 1.28 times as far as the outline."""
    y_px, x_px = np.mgrid[: SHAPE[0], : SHAPE[1]]
    for head, limits in (
        (Ellipse(400, 270, 90, 60, 0.0), 1.0),
        (Ellipse(400, 270, 180, 120, 0), 2),
    ):
        for ramp, ray in ((x_px / 4, np.cos), (y_px / 3, np.sin)):
            band = unrolled(np.rint(ramp).astype(np.uint8), head).astype(float)
            slope, centre, axis = (1 / 4, 400, head.semi_axis_a_px)
            if ray is np.sin:
                slope, centre, axis = (1 / 3, 270, head.semi_axis_b_px)
            turn_rad = (np.arange(COLUMNS) + 0.5) * 2 * np.pi / COLUMNS
            radii = 1 + 0.28 * ((2 * np.arange(ROWS) + 1) / ROWS - 1)
            expected = slope * (centre + axis * np.outer(radii, ray(turn_rad)))
            assert np.abs(band - expected).max() < 0.8 + 0.2 * limits
            assert abs((band - expected).mean()) < 0.06


def test_a_large_head_is_shrunk_until_its_grain_is_a_steps() -> None:
    """Stripes of one pixel around a head of 440 px are averaged; around one of 109 px they stay."""
    stripes = np.zeros((1000, 1400), np.uint8)
    stripes[:, ::2] = 200
    large = unrolled(stripes, Ellipse(700, 500, 440, 330, 0.0))
    assert np.abs(large.astype(int) - 100).max() <= 2
    band = unrolled(stripes, Ellipse(700, 500, 109, 90, 0.0))
    assert np.ptp(band[:, 0].astype(int)) > 180


def test_rows_and_columns_are_shrunk_alike() -> None:
    """A quarter of 1,200 rows and of 1,800 columns: four lines to one, however they run."""
    for lines in ((slice(None, None, 2), slice(None)), (slice(None), slice(None, None, 2))):
        for shape in ((1200, 1800), (1800, 1200)):
            stripes = np.zeros(shape, np.uint8)
            stripes[lines] = 200
            band = unrolled(stripes, Ellipse(shape[1] / 2, shape[0] / 2, 440, 330, 0.0))
            assert np.abs(band.astype(int) - 100).max() <= 2


@pytest.mark.parametrize("axis", [0, 1])
def test_a_line_of_one_pixel_is_seen_as_wide_as_it_is(axis: int) -> None:
    """Grey falls to black over one pixel to both sides."""
    line = np.full((1, 200) if axis else (200, 1), 200, np.uint8)
    centre_px = np.array([100.0, 0.25] if axis else [0.25, 100.0])
    band = unrolled(line, Ellipse(*centre_px, 40, 40, 0.0)).astype(float)
    turn_rad = (np.arange(COLUMNS) + 0.5) * 2 * np.pi / COLUMNS
    radii_px = 40 * (1 + REACH * ((2 * np.arange(ROWS) + 1) / ROWS - 1))
    across = np.sin(turn_rad) if axis else np.cos(turn_rad)
    expected = 200 * np.clip(1 - np.abs(0.25 + np.outer(radii_px, across)), 0, 1)
    assert (expected > 50).sum() > 40
    assert np.abs(band - expected).max() < 8


def test_the_smaller_axis_does_not_decide_how_far_an_image_is_shrunk() -> None:
    stripes = np.zeros((1000, 1400), np.uint8)
    stripes[:, ::2] = 200
    band = unrolled(stripes, Ellipse(700, 500, 440, 100, 0.0))
    assert np.abs(band.astype(int) - 100).max() <= 2


@pytest.mark.parametrize("shape", [(1, 900), (900, 1), (1, 1)])
def test_any_image_has_a_band(shape: tuple[int, int]) -> None:
    assert unrolled(np.full(shape, 9, np.uint8), Ellipse(400, 400, 2000, 900, 0)).shape == (64, 128)


def test_beside_grey_stand_the_directions() -> None:
    bands = np.array([0, 51, 255], np.uint8)[:, None, None] * np.ones((ROWS, COLUMNS), np.uint8)
    tensor = outline_tensor(bands)
    assert tensor.shape == (3, 64, 128, 3)
    assert tensor.dtype == np.float32
    assert tensor[:, 5, 7, 0].tolist() == [0.0, np.float32(0.2), 1.0]
    turn_rad = (np.arange(128) + 0.5) * 2 * np.pi / 128
    for row in (0, 63):
        np.testing.assert_allclose(tensor[1, row, :, 1], np.sin(turn_rad), atol=1e-6)
        np.testing.assert_allclose(tensor[1, row, :, 2], np.abs(np.cos(turn_rad)), atol=1e-6)


def test_offsets_go_around_by_equal_turns_from_half_a_turn_on() -> None:
    """From a circle's centre to a larger one's line, which lies a little to the right."""
    circle, truth = Ellipse(100, 100, 50, 50, 0), Ellipse(103, 100, 60, 60, 0)
    turn_rad = (np.arange(DIRECTIONS) + 0.5) * 2 * np.pi / DIRECTIONS
    across = 3 * np.sin(turn_rad)
    reach_px = 3 * np.cos(turn_rad) + np.sqrt(60**2 - across**2)
    assert offsets(circle, truth) == pytest.approx(reach_px / 50 - 1)
    assert np.isfinite(offsets(circle, Ellipse(300, 100, 60, 60, 0))).all()


@pytest.mark.parametrize(
    ("places_px", "span"),
    [
        ((2.3, 5.7), (2, 7)),  # between 5 and 6 both are seen
        ((2.0, 5.0), (2, 7)),
        ((-3.5, 0.2), (0, 2)),
        ((-9.0, -5.0), (0, 1)),
        ((8.5, 12.0), (8, 10)),
        ((9.0, 9.0), (9, 10)),
        ((20.0, 30.0), (9, 10)),
        ((-5.0, 30.0), (0, 10)),
    ],
)
def test_of_an_image_only_the_lines_that_are_seen_are_taken(
    places_px: tuple[float, float], span: tuple[int, int]
) -> None:
    for order in (1, -1):
        assert _reached(np.array(places_px[::order], np.float32), 10) == span
