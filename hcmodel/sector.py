"""Where an ultrasound image ends: the fan or rectangle that the probe saw, within the picture.

Around it lie black, a grey frame, text and bars. Within it lie shadows and fluid as dark as the
black around: what is lit is therefore closed to a convex area, as every sector is but for its top.
"""

from __future__ import annotations

import cv2
import numpy as np

from hcmodel.arrays import GreyImage, Mask, shape_of
from hcmodel.geometry import Ellipse
from hcmodel.levels import level_counts
from hcmodel.preprocess import stretch
from hcmodel.shrink import shrunk

RASTER_PX = 400
"""Long side of the raster on which grey is judged; half of it is the mask's."""
DARK_SHARE = 0.02
"""The darkest part of a picture, whose lightest grey level is taken for the black around."""
ABOVE_BLACK = 1
"""Levels above black that a sector's darkest parts may have: scanners lift them by 2 or more."""
TEXTURE = 5
"""Levels from pixel to pixel that no empty part of a picture has."""
FRAME = 8
"""Level from which an even corner of the picture is a frame: sectors' darkest parts stay below."""
TEXT_SHARE = 0.035
"""Of the mask's long side: letters and lines as thin are no part of a sector."""
PART_SHARE = 0.04
"""Of the largest part: what is smaller is no part of the sector that a shadow divides."""
POINTS = 360
"""One a degree: a share is told to a third of a per cent."""


def beyond_sector(pixels: GreyImage, outline: Ellipse) -> float:
    """Return the share of an outline in ``(rows, columns)`` grey that the probe did not see."""
    mask = sector(pixels)
    seen = outline.transformed(stretch(shape_of(pixels), shape_of(mask)))
    points = np.rint(seen.points(POINTS)).astype(np.int64)
    inside = ((points >= 0) & (points < [mask.shape[1], mask.shape[0]])).all(axis=1)
    x_px, y_px = points[inside].T
    return 1 - float(mask[y_px, x_px].sum()) / POINTS


def sector(pixels: GreyImage) -> Mask:
    """Return the sector of ``(rows, columns)`` grey as a mask whose long side is 200 px at most.

    Nothing where nothing is lit.
    """
    lit = _without_text(_lit(pixels))
    contours = cv2.findContours(lit, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    mask = np.zeros_like(lit)
    if contours:
        least = PART_SHARE * max(map(cv2.contourArea, contours))
        parts = [part for part in contours if cv2.contourArea(part) >= least]
        cv2.fillConvexPoly(mask, cv2.convexHull(np.concatenate(parts)), 1)
    return mask.astype(bool)


def _lit(pixels: GreyImage) -> GreyImage:
    """Return 1 where there is any echo, 0 elsewhere, on the mask's raster."""
    grey = cv2.medianBlur(_with_long_side(pixels, RASTER_PX), 3)
    darker = level_counts(np.asarray(grey, np.uint8)).cumsum()
    black = int(np.searchsorted(darker, int(DARK_SHARE * grey.size), "right"))
    texture = cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    lit = (texture > TEXTURE) | (grey > black + ABOVE_BLACK)
    lit &= ~_frame(np.asarray(grey, np.uint8))
    share = _with_long_side(255 * lit.astype(np.uint8), RASTER_PX // 2)
    return np.asarray(share > 127, np.uint8)


def _frame(grey: GreyImage) -> Mask:
    """Return what hangs together with the picture's corners at one even level."""
    rows, columns = grey.shape
    found = np.zeros((rows + 2, columns + 2), np.uint8)
    same_level = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (1 << 8)
    for y, x in ((0, 0), (0, columns - 1), (rows - 1, 0), (rows - 1, columns - 1)):
        if grey[y, x] >= FRAME:
            cv2.floodFill(grey, found, (x, y), 0, 1, 1, same_level)
    return found[1:-1, 1:-1].astype(bool)


def _without_text(lit: GreyImage) -> GreyImage:
    side_px = 2 * round(TEXT_SHARE * max(lit.shape) / 2) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side_px, side_px))
    return np.asarray(cv2.morphologyEx(lit, cv2.MORPH_OPEN, disc), np.uint8)


def _with_long_side(pixels: GreyImage, long_side_px: int) -> GreyImage:
    rows, columns = pixels.shape
    scale = min(1.0, long_side_px / max(rows, columns))
    return shrunk(pixels, (max(1, round(scale * rows)), max(1, round(scale * columns))))
