"""What the gate sees: the image along an outline, so that heads of all sizes lie alike.

What closes to an ellipse, abdomens before all, is outlined as cleanly as a head: only what lies
inside tells them apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from hcmodel.arrays import FloatArray, GreyImage, Tensor, shape_of
from hcmodel.geometry import Ellipse
from hcmodel.preprocess import chained, seen_part, stretch
from hcmodel.shrink import shrunk

ROWS, COLUMNS = 80, 104
"""The raster on which an outline is seen, its major axis along the rows."""
SEMI_AXIS_PX = 36.0
"""Of that axis on the raster, whatever it had: some of what lies around is seen as well."""
CHANNELS = 2
_REACH_PX = 8
"""So much more of the image is taken: interpolation reaches beyond the raster's border."""
_LEAST_SPREAD = 8.0
"""Grey levels: the noise of an image that shows nothing is not made to look like tissue."""


def seen_along(
    pixels: GreyImage,
    outline: Ellipse,
    pixel_aspect: float = 1.0,
    raster: tuple[int, int] = (ROWS, COLUMNS),
    semi_axis_px: float = SEMI_AXIS_PX,
) -> GreyImage:
    """Return ``raster`` uint8 of ``(rows, columns)`` grey along an outline, black beyond it.

    ``pixel_aspect``: height of a pixel over its width.
    """
    to_raster = _along(outline, pixel_aspect, raster, semi_axis_px)
    # Only the part that is seen: shrinking all of a large image would take longer than the gate.
    (top, bottom), (left, right) = seen_part(to_raster, raster, shape_of(pixels), _REACH_PX)
    part = pixels[top:bottom, left:right]
    if part.size == 0:
        return np.zeros(raster, np.uint8)
    to_raster[:, 2] += to_raster[:, :2] @ [left, top]
    # By area first, so that nothing aliases; what is left to do is a turn and a small step.
    along_x, along_y = np.minimum(1, np.linalg.norm(to_raster[:, :2], axis=0))
    width, height = max(1, round(part.shape[1] * along_x)), max(1, round(part.shape[0] * along_y))
    small = shrunk(part, (height, width))
    back = stretch((height, width), shape_of(part))
    size = (raster[1], raster[0])
    seen = cv2.warpAffine(small, chained(to_raster, back), size, flags=cv2.INTER_LINEAR)
    return np.asarray(seen, np.uint8)


def axis_ratio(outline: Ellipse, pixel_aspect: float = 1.0) -> float:
    """Return b/a as the body has it, of pixels so many times as high as wide."""
    square = _in_square_pixels(outline, pixel_aspect)
    return square.semi_axis_b_px / square.semi_axis_a_px


def gate_tensor(crops: GreyImage, axis_ratios: Sequence[float]) -> Tensor:
    """Return ``(B, ROWS, COLUMNS)`` uint8 as ``(B, ROWS, COLUMNS, CHANNELS)`` float32.

    Grey has mean 0 and deviation 1 in every crop, as machines differ in gain. Beside it each
    pixel knows how far from the outline it lies: -1 in the centre, 0 on it, 1 from twice as far.
    """
    grey = crops.astype(np.float32)
    mean, spread = grey.mean((1, 2), keepdims=True), grey.std((1, 2), keepdims=True)
    y_px, x_px = np.mgrid[:ROWS, :COLUMNS].astype(np.float32)
    along = (x_px - (COLUMNS - 1) / 2) / SEMI_AXIS_PX
    across = (y_px - (ROWS - 1) / 2) / SEMI_AXIS_PX
    ratios = np.asarray(axis_ratios, np.float32)[:, None, None]
    beyond = np.sqrt(along**2 + (across / ratios) ** 2) - 1
    standard = (grey - mean) / (spread + np.float32(_LEAST_SPREAD))
    return np.stack([standard, np.minimum(beyond, 1)], axis=-1)


def _along(
    outline: Ellipse, pixel_aspect: float, raster: tuple[int, int], semi_axis_px: float
) -> FloatArray:
    """Return the 2x3 affine map from an image to the raster along an outline of it.

    It turns by a quarter at most, so that what was above stays above.
    """
    square = _in_square_pixels(outline, pixel_aspect)
    turn_rad = (square.angle_rad + math.pi / 2) % math.pi - math.pi / 2
    cos, sin = math.cos(turn_rad), math.sin(turn_rad)
    scale = semi_axis_px / square.semi_axis_a_px
    linear = scale * np.array([[cos, sin], [-sin, cos]]) @ np.diag([1.0, pixel_aspect])
    middle = np.array([raster[1] - 1, raster[0] - 1]) / 2
    return np.column_stack([linear, middle - linear @ outline.center_px])


def _in_square_pixels(outline: Ellipse, pixel_aspect: float) -> Ellipse:
    return outline.transformed(np.array([[1.0, 0, 0], [0, pixel_aspect, 0]]))
