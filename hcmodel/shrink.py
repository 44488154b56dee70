"""Grey averaged by area, to the last bit as OpenCV's ``INTER_AREA``, in half of its time.

OpenCV visits one pixel after another unless sizes divide. Here few lines at a time are multiplied
by their shares, which is what processors are built for, and only what is wanted. That may round
otherwise where a sum lies half-way between two levels: those few are summed again, as OpenCV does.
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
    places, _ = _shares(width, shape[1])
    low, high = int(places[left, 0]), int(places[right - 1, -1]) + 1
    lines = _averaged(pixels[:, low:high], (height, shape[0]), (top, bottom))
    turned = np.ascontiguousarray(lines.T)
    averages = _averaged(turned, (width, shape[1]), (left, right), low)
    grey = np.rint(averages)
    _settle(grey, averages, pixels, shape, (top, left))
    return np.ascontiguousarray(grey.astype(np.uint8).T)


def _averaged(
    lines: NDArray[np.generic], counts: tuple[int, int], wanted: Span, before: int = 0
) -> FloatImage:
    """Return the wanted ones of the lines that ``counts[0]`` become, which are ``counts[1]``.

    The first ``before`` of them are not there, nor are some of the last.
    """
    places, shares = _blocks(*counts)
    blocks = slice(wanted[0] // _BLOCK, -(-wanted[1] // _BLOCK))
    taken = np.clip(places[blocks] - before, 0, len(lines) - 1)
    products = np.matmul(shares[blocks], lines[taken].astype(np.float32, copy=False))
    averaged: FloatImage = products.reshape(-1, lines.shape[1])
    return averaged[wanted[0] % _BLOCK :][: wanted[1] - wanted[0]]


def _settle(
    grey: FloatImage,
    averages: FloatImage,
    pixels: GreyImage,
    shape: tuple[int, int],
    first: tuple[int, int],
) -> None:
    """Round what lies nearly half-way between two levels as OpenCV's own sum does.

    ``grey`` and ``averages``: ``(columns, rows)``, from the row and column ``first`` of ``shape``.
    """
    height, width = shape_of(pixels)
    down, down_shares = _shares(height, shape[0])
    across, across_shares = _shares(width, shape[1])
    # Two sums of the same products are no farther apart, in whatever order they are made.
    unsure = 255 * (down.shape[1] + across.shape[1]) * np.finfo(np.float32).eps
    off = averages - grey
    x, y = np.divmod(np.flatnonzero(np.abs(off, out=off) > 0.5 - unsure), grey.shape[1])
    row, column = y + first[0], x + first[1]
    seen = pixels[down[row][:, :, None], across[column][:, None, :]].astype(np.float32)
    # One after another, in OpenCV's order: the order decides how a sum is rounded.
    sums = np.zeros(seen.shape[:2], np.float32)
    for term in range(across.shape[1]):
        sums += seen[:, :, term] * across_shares[column, term, None]
    settled = np.zeros(len(x), np.float32)
    for term in range(down.shape[1]):
        settled += sums[:, term] * down_shares[row, term]
    grey[x, y] = np.rint(settled)


@lru_cache(maxsize=64)
def _shares(count: int, to_count: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return of which of ``count`` lines each of ``to_count`` is made, and with which shares.

    Both have the shape ``(to_count, lines)``; shares of lines that do not exist are 0.
    """
    scale = 1 / (to_count / count)  # in the steps in which OpenCV computes it
    low = (np.arange(to_count) * scale)[:, None]
    high = low + scale
    first, last = np.ceil(low), np.floor(high)
    line = first - 1 + np.arange(int(scale) + 2)
    covered = np.where(line < first, first - low, 1.0)
    covered = np.where(line == last, high - last, covered)
    covered[(covered <= _LEAST_SHARE) | (line > last)] = 0
    places = np.clip(line, 0, count - 1).astype(np.intp)
    return places, (covered / scale).astype(np.float32)


@lru_cache(maxsize=64)
def _blocks(count: int, to_count: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return the same by blocks: ``(blocks, lines)`` and ``(blocks, _BLOCK, lines)``."""
    places, shares = _shares(count, to_count)
    first = places[::_BLOCK, :1]
    block, line = np.divmod(np.arange(to_count)[:, None], _BLOCK)
    within = places - first[block[:, 0]]
    factors = np.zeros((len(first), _BLOCK, int(within.max()) + 1), np.float32)
    np.add.at(factors, (block, line, within), shares)
    return np.minimum(first + np.arange(factors.shape[2]), count - 1), factors
