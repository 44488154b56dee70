"""Grey pixels of any size to the network's tensor, with the exact way back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hcmodel.geometry import FloatArray


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image on the network's raster.

    ``pixels``: ``(H, W)`` uint8 of the network's size, black where the image does not reach.
    ``to_network``: 2x3 affine map from original pixel centres to network pixel centres.
    ``original_shape``: rows and columns of the original.
    """

    pixels: NDArray[np.uint8]
    to_network: FloatArray
    original_shape: tuple[int, int]

    @property
    def to_original(self) -> FloatArray:
        """2x3 affine map from network pixels back to original pixels."""
        linear = np.linalg.inv(self.to_network[:, :2])
        return np.hstack([linear, -linear @ self.to_network[:, 2:]])


def prepare(
    pixels: NDArray[np.uint8], network_shape: tuple[int, int], *, keep_aspect: bool
) -> Prepared:
    """Resize ``(rows, columns)`` uint8 grey to ``network_shape``.

    With ``keep_aspect`` the image is centred and black fills the rest; else it is squashed.
    Each axis has a scale of its own in ``to_network``, because sizes are rounded to pixels.
    """
    rows, columns = pixels.shape
    height, width = network_shape
    if keep_aspect:
        scale = min(height / rows, width / columns)
        height, width = max(1, round(rows * scale)), max(1, round(columns * scale))
    resized = _resized(pixels, height, width)
    canvas = np.zeros(network_shape, np.uint8)
    top, left = (network_shape[0] - height) // 2, (network_shape[1] - width) // 2
    canvas[top : top + height, left : left + width] = resized
    scale_x, scale_y = width / columns, height / rows
    to_network = np.array(
        [
            [scale_x, 0, (scale_x - 1) / 2 + left],
            [0, scale_y, (scale_y - 1) / 2 + top],
        ]
    )
    return Prepared(canvas, to_network, (rows, columns))


def _resized(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Area average where an axis shrinks, linear where it grows.

    OpenCV's area average shifts the image by a pixel when one axis shrinks and the other grows.
    """
    rows, columns = pixels.shape
    smaller = (min(width, columns), min(height, rows))
    shrunk = cv2.resize(pixels, smaller, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def to_tensor(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """``(B, H, W)`` uint8 to ``(B, H, W, 1)`` float32 in [0, 1]."""
    return (pixels.astype(np.float32) / np.float32(255))[..., None]
