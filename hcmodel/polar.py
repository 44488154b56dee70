"""The stage along a head's contour: the image unrolled around an ellipse, and the way back.

Unrolled, skulls of all sizes and shapes are one nearly straight band, and what is left to tell is
how far outside or inside the ellipse the outline lies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from hcmodel.arrays import FloatArray, FloatImage, GreyImage, Tensor
from hcmodel.ellipse_fit import fit_points
from hcmodel.geometry import Ellipse
from hcmodel.preprocess import stretch
from hcmodel.shrink import Span, shrunk

ROWS, COLUMNS = 64, 128
"""Steps across the outline, from inside to outside, and along it, once around."""
REACH = 0.28
"""How far it is looked to both sides, as a share of the distance from the centre."""
DIRECTIONS = 32
"""In each of them, from the centre, it is told where the outline is."""
MAX_SEMI_AXIS_PX = 110.0
"""An image is shrunk until its head has no more: finer grain than a step would alias."""

CHANNELS = 3


@dataclass(frozen=True, slots=True)
class Contour:
    """An ellipse in px of the original image, through what was found along an outline.

    ``residual``: root mean square of the offsets that the ellipse leaves.
    """

    ellipse: Ellipse
    residual: float


def unrolled(pixels: GreyImage, head: Ellipse) -> GreyImage:
    """Return ``(ROWS, COLUMNS)`` uint8 around an ellipse in ``(rows, columns)`` grey.

    Black where the band leaves the image.
    """
    scale = min(1.0, MAX_SEMI_AXIS_PX / head.semi_axis_a_px)
    rows, columns = pixels.shape
    width, height = max(1, round(columns * scale)), max(1, round(rows * scale))
    seen = head.transformed(stretch((rows, columns), (height, width)))
    radii = 1 + REACH * ((2 * np.arange(ROWS) + 1) / ROWS - 1)
    rays_px = _rays(seen, COLUMNS)
    x_px, y_px = (
        (center + np.outer(radii, ray)).astype(np.float32)
        for center, ray in zip(seen.center_px, rays_px.T, strict=True)
    )
    along, down = _reached(x_px, width), _reached(y_px, height)
    part = shrunk(pixels, (height, width), down, along)
    x_px -= np.float32(along[0])
    y_px -= np.float32(down[0])
    return np.asarray(cv2.remap(part, x_px, y_px, cv2.INTER_LINEAR), np.uint8)


def _reached(places_px: FloatImage, count: int) -> Span:
    """Return which of ``count`` lines are seen from some places among them, one at least."""
    first = min(max(math.floor(places_px.min()), 0), count - 1)
    return first, max(min(math.floor(places_px.max()) + 2, count), first + 1)


def outline_tensor(bands: GreyImage) -> Tensor:
    """Return ``(B, ROWS, COLUMNS)`` uint8 as ``(B, ROWS, COLUMNS, CHANNELS)`` float32.

    Beside grey in [0, 1], each pixel knows its direction from the centre: how far up or down, and
    how far to any side, since beams come from above and echo differently from above and from aside.
    """
    turn_rad = _turns(COLUMNS)
    places = np.stack([np.sin(turn_rad), np.abs(np.cos(turn_rad))], axis=-1).astype(np.float32)
    tensor = np.empty((*bands.shape, CHANNELS), np.float32)
    tensor[..., 0] = bands / np.float32(255)
    tensor[..., 1:] = places
    return tensor


def offsets(head: Ellipse, truth: Ellipse) -> FloatArray:
    """Return ``(DIRECTIONS,)``: how far along rays from ``head``'s centre ``truth``'s outline is.

    A share of the distance to ``head``'s outline, positive outside of it. The centre must lie in
    ``truth``.
    """
    to_circle = np.linalg.inv(truth.matrix)
    start = to_circle @ (head.center_px - truth.center_px)
    rays = _rays(head, DIRECTIONS) @ to_circle.T
    squares, products = np.sum(rays**2, axis=1), rays @ start
    reach = products**2 - squares * (start @ start - 1)
    return np.asarray((np.sqrt(np.maximum(reach, 0)) - products) / squares - 1)


def corrected(head: Ellipse, found: FloatArray) -> Contour | None:
    """Return the contour at ``found`` ``(DIRECTIONS,)`` offsets from a head.

    ``None`` where they do not bend like one.
    """
    points_px = head.center_px + _rays(head, DIRECTIONS) * (1 + found)[:, None]
    ellipse = fit_points(points_px)
    if ellipse is None:
        return None
    residual = float(np.sqrt(np.mean((found - offsets(head, ellipse)) ** 2)))
    return Contour(ellipse, residual)


def _rays(head: Ellipse, count: int) -> FloatArray:
    """Return ``(count, 2)`` x, y from centre to outline, in px, once around from the right."""
    directions, semi_axes_px, _ = np.linalg.svd(head.matrix)
    # Symmetric: stretches the circle without turning it, so that up stays up.
    stretch = directions @ np.diag(semi_axes_px) @ directions.T
    turn_rad = _turns(count)
    return np.asarray(np.stack([np.cos(turn_rad), np.sin(turn_rad)], axis=1) @ stretch)


def _turns(count: int) -> FloatArray:
    return np.asarray((np.arange(count) + 0.5) * 2 * math.pi / count)
