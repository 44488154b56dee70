"""Images for a page: read by the sandboxed readers when asked for, and never kept."""

from __future__ import annotations

import cv2
import numpy as np

from worker.errors import FileChanged
from worker.reading.sandbox.pool import ReaderPool
from worker.roots import Roots
from worker.store.rows import ReportRow

_QUICKLY = [cv2.IMWRITE_PNG_COMPRESSION, 1]
"""Time matters more than size: the browser is near."""


def png_of(row: ReportRow, roots: Roots, readers: ReaderPool) -> bytes:
    """Return the row's frame as PNG, ``(rows, columns)`` grey.

    Raises ``FileChanged`` where the file is no longer what was measured, and ``ScanRejected`` or
    ``ScanFailed`` as reading does.
    """
    scan = readers.read(roots.located(row.source), row.frame)
    if row.file.sha256 is not None and scan.sha256 != row.file.sha256:
        raise FileChanged
    return np.asarray(cv2.imencode(".png", scan.pixels, _QUICKLY)[1]).tobytes()
