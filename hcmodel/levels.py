"""The grey levels that an image has."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from hcmodel.arrays import GreyImage


def level_counts(image: GreyImage) -> NDArray[np.int64]:
    """Return ``(256,)``: how many pixels have each grey level; above 2^24 the nearest float32."""
    counts = cv2.calcHist([image], [0], None, [256], [0, 256])
    return counts.ravel().astype(np.int64)
