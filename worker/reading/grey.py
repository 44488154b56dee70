"""From stored pixel values to grey levels 0..255, black is 0.

One rule serves every depth: the range that a pixel can have is cut into 256 equal bins. For 8 bits
that is the identity, for more a shift to the right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset

from hcmodel.arrays import GreyImage
from worker.reading import tags

TAGS = ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth", "VOILUTFunction")

_LEVELS = 256
MIN_LEVELS = 16
"""A window that was set to look at an image leaves a multiple of these."""


@dataclass(frozen=True, slots=True)
class Window:
    """A linear or sigmoid cut-out of the value range (PS3.3 C.11.2.1.2)."""

    center: float
    width: float
    function: str

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of any shape as shares of the window, in that shape: 0 to 1 within it."""
        if self.function == "SIGMOID":
            # e^50 does not overflow, and is far beyond any grey level.
            return 1 / (1 + np.exp(np.clip(-4 * (values - self.center) / self.width, -50, 50)))
        if self.function == "LINEAR_EXACT":
            return (values - self.center) / self.width + 0.5
        if self.width == 1:
            return np.where(values > self.center - 0.5, 1.0, 0.0)
        return (values - (self.center - 0.5)) / (self.width - 1) + 0.5


@dataclass(frozen=True, slots=True)
class Display:
    """How the values of a monochrome image become grey: rescale, window, inversion."""

    slope: float
    intercept: float
    window: Window | None
    inverted: bool

    def levels(self, lowest: int, highest: int) -> GreyImage:
        """Return a table of grey levels, one for each value from ``lowest`` to ``highest``."""
        stored = np.arange(lowest, highest + 1, dtype=np.float64)
        values = stored * self.slope + self.intercept
        if self.window is not None:
            share = self.window.apply(values)
        else:
            share = (stored - lowest) / (highest + 1 - lowest)
            if self.slope < 0:
                share = share[::-1]
        grey = np.clip(np.floor(share * _LEVELS), 0, _LEVELS - 1).astype(np.uint8)
        return _LEVELS - 1 - grey if self.inverted else grey


def read_display(header: Dataset, photometric: str) -> Display:
    """Read rescale and window, as far as the file has usable ones."""
    slope = _finite(tags.number(header, "RescaleSlope"))
    return Display(
        slope=slope or 1.0,
        intercept=_finite(tags.number(header, "RescaleIntercept")) or 0.0,
        window=_window(header),
        inverted=photometric == "MONOCHROME1",
    )


def _window(header: Dataset) -> Window | None:
    center = _finite(tags.number(header, "WindowCenter"))
    width = _finite(tags.number(header, "WindowWidth"))
    function = tags.code(header, "VOILUTFunction") or "LINEAR"
    smallest = 1.0 if function == "LINEAR" else 1e-6
    if center is None or width is None or width < smallest:
        return None
    return Window(center, width, function)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def is_lost(shown: GreyImage, plain: GreyImage) -> bool:
    """Whether a window left hardly anything of an image that has grey levels without it."""
    return _levels(shown) < MIN_LEVELS <= _levels(plain) // 2


def _levels(image: GreyImage) -> int:
    return int(np.count_nonzero(np.bincount(image.ravel(), minlength=_LEVELS)))


def luma(rgb: NDArray[np.uint8]) -> GreyImage:
    """ITU-R 601 luma ``(...)`` of colours ``(..., 3)``; equal channels stay as they are."""
    if rgb.flags.c_contiguous:
        image = Image.fromarray(rgb.reshape(1, -1, 3))
    else:  # by plane: Pillow weaves planes in a tenth of the time that NumPy takes
        planes = [np.ascontiguousarray(rgb[..., sample]).reshape(1, -1) for sample in range(3)]
        image = Image.merge("RGB", [Image.fromarray(plane) for plane in planes])
    return np.asarray(image.convert("L")).reshape(rgb.shape[:-1])
