"""Whether the grey around a head is ultrasound's: not inverted, not squeezed into a few levels.

Echoes are few and bright on dark, and speckle grows with what it lies on: where grey is inverted,
the middle level is light and what is light is even.
"""

from __future__ import annotations

import cv2
import numpy as np

from hcmodel.arrays import GreyImage
from hcmodel.geometry import Ellipse
from hcmodel.levels import level_counts
from hcmodel.shrink import shrunk

AROUND = 1.35
"""So many times the head's size is looked at: frames, text and bars lie farther away."""
RASTER_PX = 128
"""Long side to which what is looked at is shrunk: speckle is then a pixel or two wide."""
WINDOW_PX = 5
"""Within it, level and deviation are compared."""
EVEN = 0.8
"""Levels of deviation within a window below which it is empty."""
LIGHT_MEDIAN, LEAST_CORRELATION = 100, 0.1
"""Both are crossed by no head of HC18 or of another hospital, and by all of them inverted."""
LEVEL_SHARE, LEAST_LEVELS = 0.002, 16
"""A level with this share of the pixels counts; known heads have 32 or more."""
MOST_WHITE = 0.1
"""Share of pixels at the lightest level; known heads have at most 0.01."""


def is_inverted(pixels: GreyImage, head: Ellipse) -> bool:
    """Return whether ``(rows, columns)`` grey around a head is light where ultrasound is dark."""
    near = _around(pixels, head)
    if cv2.mean(near)[0] < LIGHT_MEDIAN / 2 - 1:
        return False  # half of it cannot be lighter, whatever shrinking rounds up
    scale = min(1.0, RASTER_PX / max(near.shape))
    shape = (max(1, round(scale * near.shape[0])), max(1, round(scale * near.shape[1])))
    grey = shrunk(near, shape).astype(np.float32)
    if np.median(grey) <= LIGHT_MEDIAN:
        return False
    level = cv2.blur(grey, (WINDOW_PX, WINDOW_PX))
    square = cv2.blur(grey * grey, (WINDOW_PX, WINDOW_PX))
    deviation = np.sqrt(np.maximum(square - level * level, 0))
    textured = deviation > EVEN
    if textured.sum() < 2:
        return False
    correlation = np.corrcoef(level[textured], deviation[textured])[0, 1]
    return bool(correlation < LEAST_CORRELATION)


def is_squeezed(pixels: GreyImage, head: Ellipse) -> bool:
    """Return whether grey around a head has few levels, or much of it is white."""
    near = _around(pixels, head)
    shares = level_counts(near) / near.size
    levels = int((shares > LEVEL_SHARE).sum())
    return levels < LEAST_LEVELS or float(shares[255]) > MOST_WHITE


def _around(pixels: GreyImage, head: Ellipse) -> GreyImage:
    """Return what lies in the bounding box of a head that is ``AROUND`` times as large."""
    left, top, right, bottom = head.scaled(AROUND).bounding_box_px()
    rows, columns = pixels.shape
    top_px, bottom_px = (int(np.clip(edge, 0, rows - 1)) for edge in (top, bottom))
    left_px, right_px = (int(np.clip(edge, 0, columns - 1)) for edge in (left, right))
    return pixels[top_px : bottom_px + 1, left_px : right_px + 1]
