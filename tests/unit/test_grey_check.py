"""Inverted and squeezed grey must be known, and what scanners show must pass."""

import numpy as np
import pytest

from hcmodel.arrays import GreyImage
from hcmodel.geometry import Ellipse
from hcmodel.grey_check import is_inverted, is_squeezed
from hcmodel.phantom import draw_phantom

HEAD = Ellipse(400.0, 290.0, 150.0, 115.0, 0.2)


def phantom(seed: int) -> GreyImage:
    return draw_phantom((540, 800), HEAD, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(8))
def test_inverted_grey_is_known_also_in_a_black_frame(seed: int) -> None:
    pixels = phantom(seed)
    assert not is_inverted(pixels, HEAD)
    assert is_inverted(255 - pixels, HEAD)
    frame = np.zeros((700, 1000), np.uint8)
    frame[80:620, 100:900] = 255 - pixels
    assert is_inverted(frame, HEAD.transformed(np.array([[1.0, 0, 100], [0, 1, 80]])))


@pytest.mark.parametrize("seed", range(8))
def test_few_levels_and_much_white_are_known(seed: int) -> None:
    pixels = phantom(seed)
    assert not is_squeezed(pixels, HEAD)
    assert not is_squeezed(255 - pixels, HEAD)
    for levels in (2, 4, 8):
        assert is_squeezed(((pixels // (256 // levels)) * (255 // (levels - 1))), HEAD)
    assert is_squeezed(pixels // 32, HEAD)
    assert is_squeezed(np.where(pixels > 40, 255, pixels).astype(np.uint8), HEAD)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_even_picture_is_squeezed_and_not_inverted(level: int) -> None:
    even = np.full((100, 120), level, np.uint8)
    beyond = Ellipse(300, 300, 20, 15, 0)
    for head in (Ellipse(60, 50, 30, 20, 0), beyond):
        assert is_squeezed(even, head)
        assert not is_inverted(even, head)
