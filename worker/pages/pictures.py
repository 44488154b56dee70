"""Images for a page: read when asked for, and never kept."""

from __future__ import annotations

import cv2
import numpy as np

from worker.reading.sandbox.pool import ReaderPool
from worker.reports.pictures.original import pixels_of_row
from worker.roots import Roots
from worker.store.rows import ReportRow

_QUICKLY = [cv2.IMWRITE_PNG_COMPRESSION, 1]
"""Time matters more than size: the browser is near."""


def png_of(row: ReportRow, roots: Roots, readers: ReaderPool) -> bytes:
    """Return the row's frame as PNG, ``(rows, columns)`` grey. Raises as ``pixels_of_row`` does."""
    pixels = pixels_of_row(row, roots, readers)
    return np.asarray(cv2.imencode(".png", pixels, _QUICKLY)[1]).tobytes()
