"""The image of a row: read again by the sandboxed readers, and refused where it is another now."""

from __future__ import annotations

from hcmodel.arrays import GreyImage
from hcmodel.geometry import Spacing
from worker.errors import FileChanged
from worker.reading.sandbox.pool import ReaderPool
from worker.roots import Roots
from worker.store.rows import ReportRow

_ANY_SCALE = Spacing(row_mm=1, column_mm=1)
"""Nothing is measured here: no claim of the file about its scale shall hide its pixels."""


def pixels_of(
    source: str, frame: int, sha256: str | None, roots: Roots, readers: ReaderPool
) -> GreyImage:
    """Return one frame of a stored path, ``(rows, columns)`` grey.

    Raises ``FileChanged`` where the file's content is not that of ``sha256``, and ``ScanRejected``
    or ``ScanFailed`` as reading does.
    """
    scan = readers.read(roots.located(source), frame, _ANY_SCALE)
    if sha256 is not None and scan.sha256 != sha256:
        raise FileChanged
    return scan.pixels


def pixels_of_row(row: ReportRow, roots: Roots, readers: ReaderPool) -> GreyImage:
    """Return the image of a row. Raises as above."""
    return pixels_of(row.source, row.frame, row.file.sha256, roots, readers)
