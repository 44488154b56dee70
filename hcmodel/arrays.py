"""Names for the arrays that pass between rooms, and their shapes.

Axes are in NumPy's order: rows down, then columns to the right; B counts images of a batch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GreyImage = NDArray[np.uint8]
"""``(rows, columns)`` or ``(B, rows, columns)``, black 0 to white 255."""
ColorImage = NDArray[np.uint8]
"""``(rows, columns, 3)``: blue, green, red, as OpenCV has them."""
FloatImage = NDArray[np.float32]
"""``(rows, columns)``: grey on a scale of its own, a probability or a distance per pixel."""
Tensor = NDArray[np.float32]
"""What a network takes or gives, B first."""
FloatArray = NDArray[np.float64]
"""Points, maps of the plane, figures: all that is computed with full precision."""
Mask = NDArray[np.bool_]
"""Which pixels, points or images are meant."""


def shape_of(image: NDArray[np.generic]) -> tuple[int, int]:
    """Return ``(rows, columns)`` of an image, grey or in colour."""
    return image.shape[0], image.shape[1]
