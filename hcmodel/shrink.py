"""Grey averaged by area, as OpenCV's ``INTER_AREA`` does it, in less than half of its time.

OpenCV visits one pixel after another unless sizes divide. Here few rows at a time are multiplied
by their shares, which is what processors are built for. A sum may round otherwise: of ten thousand
pixels one or two then lie half-way between two levels and get the other one.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from hcmodel.arrays import FloatImage, GreyImage, shape_of

Span = tuple[int, int]
"""From the first up to but not including the second."""

_BLOCK = 4
"""Lines of the result for one product: with more of them most factors would be zeros."""
_LEAST_SHARE = 1e-3
"""OpenCV leaves out what covers less of a pixel."""
_MOST_FACTORS = 200_000
"""OpenBLAS gives larger products to threads of its own, for which other batches would wait."""


def shrunk(
    pixels: GreyImage, shape: tuple[int, int], rows: Span | None = None, columns: Span | None = None
) -> GreyImage:
    """Return ``(rows, columns)`` grey on a smaller ``shape``, or some rows and columns of that."""
    height, width = shape_of(pixels)
    top, bottom = rows or (0, shape[0])
    left, right = columns or (0, shape[1])
    largest = _BLOCK * (_BLOCK * height // shape[0] + 3) * width
    if (height % shape[0] == 0 and width % shape[1] == 0) or largest > _MOST_FACTORS:
        whole = cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_AREA)
        return np.asarray(whole[top:bottom, left:right], np.uint8)
    low, high = int(left * width / shape[1]), -int(-right * width // shape[1])
    lines = _averaged(pixels[:, low:high], shape[0], (top, bottom))
    across = _averaged(
        np.ascontiguousarray(lines.T), shape[1], (left, right), before=low, count=width
    )
    return np.rint(across.T).astype(np.uint8)


def _averaged(
    lines: NDArray[np.generic], to_count: int, wanted: Span, before: int = 0, count: int = 0
) -> FloatImage:
    """Return the wanted ones of the lines to which ``count`` are averaged.

    The first ``before`` are not there, nor are some of the last.
    """
    places, shares = _shares(count or len(lines), to_count)
    blocks = slice(wanted[0] // _BLOCK, -(-wanted[1] // _BLOCK))
    taken = np.clip(places[blocks] - before, 0, len(lines) - 1)
    products = np.matmul(shares[blocks], lines[taken].astype(np.float32, copy=False))
    averaged: FloatImage = products.reshape(-1, lines.shape[1])
    return averaged[wanted[0] % _BLOCK :][: wanted[1] - wanted[0]]


@lru_cache(maxsize=64)
def _shares(count: int, to_count: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return of which lines each block is made, and with which share of each.

    Shapes ``(blocks, lines)`` and ``(blocks, _BLOCK, lines)``.
    """
    scale = count / to_count
    blocks = -(-to_count // _BLOCK)
    span = min(count, int(_BLOCK * scale) + 3)
    first = np.minimum((np.arange(blocks) * _BLOCK * scale).astype(np.intp), count - span)
    places = first[:, None] + np.arange(span)
    low = (np.arange(blocks * _BLOCK) * scale).reshape(blocks, _BLOCK, 1)
    pixel = places[:, None, :]
    covered = np.minimum(low + scale, pixel + 1) - np.maximum(low, pixel)
    covered[covered <= _LEAST_SHARE] = 0
    return places, (covered / scale).astype(np.float32)
