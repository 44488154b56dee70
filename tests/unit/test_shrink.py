"""Shrinking by area: OpenCV's own answer, and parts of it."""

import platform

import cv2
import numpy as np
import pytest

from hcmodel.arrays import GreyImage
from hcmodel.levels import level_counts
from hcmodel.shrink import shrunk

SIZES = [
    ((540, 800), (130, 192)),
    ((540, 800), (324, 481)),
    ((540, 800), (270, 400)),
    ((540, 800), (540, 799)),
    ((540, 800), (539, 400)),
    ((61, 47), (60, 1)),
    ((3, 1000), (2, 77)),
    ((40, 4001), (7, 90)),
    ((2000, 3000), (300, 450)),
]


def assert_same(found: GreyImage, wanted: GreyImage) -> None:
    """Elsewhere OpenCV may multiply and add at once, and round some halves otherwise."""
    if platform.machine() == "x86_64":
        assert (found == wanted).all()
    else:
        apart = np.abs(found.astype(int) - wanted)
        assert apart.max() <= 1
        assert (apart > 0).sum() <= 1 + apart.size // 1000


def by_opencv(pixels: GreyImage, to_shape: tuple[int, int]) -> GreyImage:
    return np.asarray(cv2.resize(pixels, to_shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)


@pytest.mark.parametrize(("shape", "to_shape"), SIZES)
def test_averages_are_opencvs(shape: tuple[int, int], to_shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, shape, np.uint8)
    assert_same(shrunk(pixels, to_shape), by_opencv(pixels, to_shape))


@pytest.mark.parametrize("seed", range(40))
def test_so_they_are_of_any_size_and_of_any_part(seed: int) -> None:
    """Of few levels, too, where many sums lie half-way between two."""
    rng = np.random.default_rng(seed)
    shape, levels = rng.integers(1, 700, 2), int(rng.choice([2, 3, 16, 256]))
    pixels = (rng.integers(0, levels, shape) * (255 // (levels - 1))).astype(np.uint8)
    height, width = (int(rng.integers(1, side + 1)) for side in shape)
    top, left = int(rng.integers(height)), int(rng.integers(width))
    bottom, right = int(rng.integers(top, height)) + 1, int(rng.integers(left, width)) + 1
    part = shrunk(pixels, (height, width), (top, bottom), (left, right))
    assert_same(part, by_opencv(pixels, (height, width))[top:bottom, left:right])


def test_halves_are_settled_as_opencv_settles_them() -> None:
    """Each of 0 and 255 half and half: 127.5 before it is rounded, by a sum of three shares."""
    pixels = np.tile(np.array([0, 255], np.uint8), (300, 450))
    for to_shape in ((100, 300), (299, 600), (120, 360)):
        assert_same(shrunk(pixels, to_shape), by_opencv(pixels, to_shape))


def test_an_average_counts_what_is_covered_of_each_pixel() -> None:
    """Of 3 pixels on 2: one and a half each."""
    assert shrunk(np.array([[0, 90, 240]], np.uint8), (1, 2)).tolist() == [[30, 190]]
    assert shrunk(np.array([[0], [90], [240]], np.uint8), (2, 1)).tolist() == [[30], [190]]


@pytest.mark.parametrize(("shape", "to_shape"), SIZES)
def test_a_part_is_that_of_the_whole(shape: tuple[int, int], to_shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 256, shape, np.uint8)
    whole, (height, width) = shrunk(pixels, to_shape), to_shape
    for _ in range(20):
        top, left = int(rng.integers(height)), int(rng.integers(width))
        bottom, right = int(rng.integers(top, height)) + 1, int(rng.integers(left, width)) + 1
        part = shrunk(pixels, to_shape, (top, bottom), (left, right))
        assert part.shape == (bottom - top, right - left)
        assert (part == whole[top:bottom, left:right]).all()


def test_levels_are_counted() -> None:
    pixels = np.array([[0, 7, 7], [255, 7, 0]], np.uint8)
    counts = level_counts(pixels[:, :2])
    assert counts.shape == (256,)
    assert {level: int(counts[level]) for level in np.flatnonzero(counts)} == {0: 1, 7: 2, 255: 1}
