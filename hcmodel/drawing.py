"""What is drawn on or into images in more than one room: outlines, noise, a screen's parts."""

from __future__ import annotations

import cv2
import numpy as np

from hcmodel.arrays import ColorImage, FloatImage, GreyImage
from hcmodel.geometry import Ellipse

_SUBPIXEL_BITS = 4
"""OpenCV takes a point's coordinates as whole numbers of 1/16 px."""


def draw_outline(
    image: ColorImage,
    ellipse: Ellipse,
    color_bgr: tuple[int, int, int],
    scale: tuple[float, float] = (1.0, 1.0),
) -> None:
    """Draw an ellipse one pixel wide into ``(rows, columns, 3)`` uint8, in place.

    ``scale``: what x and y of the ellipse are multiplied by, where ``image`` is a resized one.
    """
    points = (ellipse.points(180) * scale * 2**_SUBPIXEL_BITS).round().astype(np.int32)
    cv2.polylines(image, [points], True, color_bgr, 1, cv2.LINE_AA, shift=_SUBPIXEL_BITS)


def draw_grey_bar(image: GreyImage, top: int, left: int, height: int, width: int) -> None:
    """Draw the bar of a scanner's screen, white at its top and black below, in place."""
    bar = np.linspace(255, 0, height).astype(np.uint8)[:, None]
    image[top : top + height, left : left + width] = bar


def smooth_noise(shape: tuple[int, int], scale_px: float, rng: np.random.Generator) -> FloatImage:
    """Return noise of mean 0 and deviation 1 whose grains are about ``scale_px`` wide."""
    small = (max(2, int(shape[0] / scale_px) + 2), max(2, int(shape[1] / scale_px) + 2))
    grains = rng.standard_normal(small).astype(np.float32)
    field = cv2.resize(grains, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)
    return np.asarray(field / (field.std() + 1e-6), np.float32)


def noise_image(shape: tuple[int, int], rng: np.random.Generator) -> GreyImage:
    """Return ``(rows, columns)`` uint8 that shows nothing but grains of one random size."""
    field = 40 * smooth_noise(shape, rng.uniform(2, 60), rng)
    return np.asarray(np.clip(field + rng.uniform(0, 120), 0, 255), np.uint8)
