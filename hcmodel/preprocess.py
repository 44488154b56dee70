"""Grey pixels of any size to the network's tensor, with the exact way back."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from hcmodel.arrays import FloatArray, GreyImage, Tensor, shape_of
from hcmodel.geometry import Ellipse
from hcmodel.shrink import Span, shrunk

FILL_WIDTH, FILL_HEIGHT = 0.72, 0.78
"""Of the raster: what a head's bounding box fills, whichever comes first, seen from near."""
_REACH_PX = 4
"""So much more is taken than the raster shows: cubic interpolation looks two pixels around."""
_EXACT_PX = 1e-6
"""Interpolation itself knows positions to a 32nd of a pixel."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An image on the network's raster.

    ``pixels``: ``(H, W)`` uint8 of the network's size, black where the image does not reach.
    ``to_network``: 2x3 affine map from original pixel centres to network pixel centres.
    ``original``: the image itself, ``(rows, columns)`` uint8.
    ``pixel_aspect``: height over width of its pixels in mm.
    """

    pixels: GreyImage
    to_network: FloatArray
    original: GreyImage
    pixel_aspect: float = 1.0

    @property
    def original_shape(self) -> tuple[int, int]:
        """Rows and columns of the original."""
        return shape_of(self.original)

    @property
    def to_original(self) -> FloatArray:
        """2x3 affine map from network pixels back to original pixels."""
        linear = np.linalg.inv(self.to_network[:, :2])
        return np.hstack([linear, -linear @ self.to_network[:, 2:]])


def prepare(
    pixels: GreyImage,
    to_network: FloatArray,
    network_shape: tuple[int, int],
    pixel_aspect: float = 1.0,
) -> Prepared:
    """Return ``(rows, columns)`` uint8 grey, seen through a 2x3 affine map to the network's raster.

    Axes that shrink are averaged by area first, so that nothing aliases; then one cubic
    interpolation does the rest. Training sees images through the same function.
    """
    rows, columns = pixels.shape
    along_x, along_y = np.minimum(1, np.linalg.norm(to_network[:, :2], axis=0))
    width, height = max(1, round(columns * along_x)), max(1, round(rows * along_y))
    to_raster = chained(to_network, stretch((height, width), (rows, columns)))
    down, across = seen_part(to_raster, network_shape, (height, width), _REACH_PX)
    if down[0] == down[1] or across[0] == across[1]:
        return Prepared(np.zeros(network_shape, np.uint8), to_network, pixels, pixel_aspect)
    small = shrunk(pixels, (height, width), down, across)
    to_raster[:, 2] += to_raster[:, :2] @ [across[0], down[0]]
    seen = _moved(small, to_raster, network_shape)
    return Prepared(seen, to_network, pixels, pixel_aspect)


def seen_part(
    to_raster: FloatArray, raster: tuple[int, int], shape: tuple[int, int], reach_px: int
) -> tuple[Span, Span]:
    """Return which rows and columns of ``shape`` are seen through a 2x3 map to a raster's shape.

    With ``reach_px`` more around them; empty where the raster shows nothing of them.
    """
    corners = np.array([[0, 0], [raster[1], 0], [0, raster[0]], [raster[1], raster[0]]])
    around = (corners - to_raster[:, 2]) @ np.linalg.inv(to_raster[:, :2]).T
    limits = [shape[1], shape[0]]
    left, top = np.clip(np.floor(around.min(axis=0)) - reach_px, 0, limits).astype(int).tolist()
    right, bottom = np.clip(np.ceil(around.max(axis=0)) + reach_px, 0, limits).astype(int).tolist()
    return (top, bottom), (left, right)


def _moved(pixels: GreyImage, to_raster: FloatArray, shape: tuple[int, int]) -> GreyImage:
    """Return what the 2x3 map makes of pixels on a raster of ``shape``; black around them.

    What is only put somewhere, as a whole image is, need not be interpolated.
    """
    (left, top), (rows, columns) = np.rint(to_raster[:, 2]).astype(int).tolist(), pixels.shape
    right, bottom = shape[1] - columns - left, shape[0] - rows - top
    whole = np.array([[1, 0, left], [0, 1, top]])
    is_put = np.abs(to_raster - whole).max() < _EXACT_PX
    if is_put and min(left, top, right, bottom) >= 0:
        sides = (top, bottom, left, right)
        moved = cv2.copyMakeBorder(pixels, *sides, cv2.BORDER_CONSTANT, value=0)
    else:
        size = (shape[1], shape[0])
        moved = cv2.warpAffine(pixels, to_raster, size, flags=cv2.INTER_CUBIC)
    return np.asarray(moved, np.uint8)


def whole_image(
    original_shape: tuple[int, int],
    network_shape: tuple[int, int],
    *,
    keep_aspect: bool,
    pixel_aspect: float = 1.0,
) -> FloatArray:
    """Return the 2x3 affine map that shows all of an image.

    With ``keep_aspect`` it is centred in the shape that it has in mm, and black fills the rest;
    else it is squashed. Each axis has a scale of its own, because sizes are rounded to pixels.
    """
    rows, columns = original_shape
    height, width = network_shape
    if keep_aspect:
        high = rows * pixel_aspect
        scale = min(height / high, width / columns)
        height, width = max(1, round(high * scale)), max(1, round(columns * scale))
    top, left = (network_shape[0] - height) // 2, (network_shape[1] - width) // 2
    resized = stretch(original_shape, (height, width))
    return np.asarray(resized + np.array([[0, 0, left], [0, 0, top]]))


def around(head: Ellipse, network_shape: tuple[int, int], pixel_aspect: float = 1.0) -> FloatArray:
    """Return the 2x3 affine map that shows a head in the middle, whatever its size was."""
    left, top, right, bottom = head.bounding_box_px()
    height, width = network_shape
    high = (bottom - top) * pixel_aspect
    scale = min(FILL_WIDTH * width / (right - left), FILL_HEIGHT * height / high)
    linear = np.diag([scale, scale * pixel_aspect])
    middle = np.array([width - 1, height - 1]) / 2
    return np.column_stack([linear, middle - linear @ head.center_px])


def stretch(shape: tuple[int, int], to_shape: tuple[int, int]) -> FloatArray:
    """Return the 2x3 affine map of pixel centres from an image's ``shape`` to ``to_shape``."""
    along_y, along_x = to_shape[0] / shape[0], to_shape[1] / shape[1]
    return np.array([[along_x, 0, (along_x - 1) / 2], [0, along_y, (along_y - 1) / 2]])


def mirror(columns: int) -> FloatArray:
    """Return the 2x3 affine map that swaps left and right of an image so many pixels wide."""
    return np.array([[-1.0, 0, columns - 1], [0, 1, 0]])


def chained(second: FloatArray, first: FloatArray) -> FloatArray:
    """Return the 2x3 affine map that does ``first`` and then ``second``."""
    moved = second[:, :2] @ first[:, 2] + second[:, 2]
    return np.column_stack([second[:, :2] @ first[:, :2], moved])


def to_tensor(pixels: GreyImage) -> Tensor:
    """Return ``(B, H, W)`` uint8 as ``(B, H, W, 1)`` float32 in [0, 1]."""
    return (pixels.astype(np.float32) / np.float32(255))[..., None]
