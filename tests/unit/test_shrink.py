"""Shrinking by area: OpenCV's own answer, and parts of it."""

import cv2
import numpy as np
import pytest

from hcmodel.levels import level_counts
from hcmodel.shrink import shrunk

SIZES = [
    ((540, 800), (130, 192)),
    ((540, 800), (324, 481)),
    ((540, 800), (270, 400)),
    ((540, 800), (540, 799)),
    ((61, 47), (60, 1)),
    ((3, 1000), (2, 77)),
    ((40, 4001), (7, 90)),
]


@pytest.mark.parametrize(("shape", "to_shape"), SIZES)
def test_averages_are_opencvs_but_for_halves(
    shape: tuple[int, int], to_shape: tuple[int, int]
) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, shape, np.uint8)
    wanted = cv2.resize(pixels, to_shape[::-1], interpolation=cv2.INTER_AREA).astype(int)
    apart = np.abs(shrunk(pixels, to_shape) - wanted)
    assert apart.max() <= 1
    assert (apart > 0).mean() < 1e-3


def test_an_average_counts_what_is_covered_of_each_pixel() -> None:
    """Of 3 pixels on 2: one and a half each."""
    assert shrunk(np.array([[0, 90, 240]], np.uint8), (1, 2)).tolist() == [[30, 190]]
    assert shrunk(np.array([[0], [90], [240]], np.uint8), (2, 1)).tolist() == [[30], [190]]


@pytest.mark.parametrize("size", SIZES)
def test_a_part_is_that_of_the_whole(size: tuple[tuple[int, int], tuple[int, int]]) -> None:
    shape, (height, width) = size
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 256, shape, np.uint8)
    whole = shrunk(pixels, (height, width)).astype(int)
    for _ in range(20):
        top, left = int(rng.integers(height)), int(rng.integers(width))
        bottom, right = int(rng.integers(top, height)) + 1, int(rng.integers(left, width)) + 1
        part = shrunk(pixels, (height, width), (top, bottom), (left, right))
        apart = np.abs(part - whole[top:bottom, left:right])
        assert part.shape == (bottom - top, right - left)
        assert apart.max() <= 1
        assert (apart > 0).sum() <= 1 + apart.size // 1000


def test_levels_are_counted() -> None:
    pixels = np.array([[0, 7, 7], [255, 7, 0]], np.uint8)
    counts = level_counts(pixels[:, :2])
    assert counts.shape == (256,)
    assert {level: int(counts[level]) for level in np.flatnonzero(counts)} == {0: 1, 7: 2, 255: 1}
