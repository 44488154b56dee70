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
    corrected,
    offsets,
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
