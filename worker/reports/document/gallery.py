"""Small pictures of the rows that a person should look at first, in the page itself."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np

from hcmodel.annotation import thumbnail
from worker.errors import ScanFailed, ScanRejected
from worker.reading.sandbox.pool import ReaderPool
from worker.reports.pictures.annotated import marks_of
from worker.reports.pictures.original import pixels_of_row
from worker.roots import Roots
from worker.store.rows import ReportRow

_WIDTH_PX = 320
_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 78]
_READERS = 2


@dataclass(frozen=True, slots=True)
class Shown:
    """A row with its picture as an address that holds it, or why there is none."""

    row: ReportRow
    address: str | None
    problem: str | None = None


def pictures_of(rows: Iterable[ReportRow], most: int, roots: Roots) -> list[Shown]:
    """Return the first ``most`` rows that had pixels; an image that is gone or moved says so."""
    chosen = list(islice((row for row in rows if row.origin.rows is not None), most))
    if not chosen:
        return []
    with (
        ReaderPool(min(_READERS, len(chosen)), roots=roots.paths) as readers,
        ThreadPoolExecutor(_READERS) as threads,
    ):
        return list(threads.map(lambda row: _shown(row, roots, readers), chosen))


def missing(shown: Sequence[Shown]) -> list[Shown]:
    """Return those without a picture."""
    return [each for each in shown if each.address is None]


def _shown(row: ReportRow, roots: Roots, readers: ReaderPool) -> Shown:
    try:
        pixels = pixels_of_row(row, roots, readers)
    except (ScanRejected, ScanFailed) as error:
        return Shown(row, None, f"{error}")
    picture = thumbnail(pixels, marks_of(row), _WIDTH_PX)
    content = np.asarray(cv2.imencode(".jpg", picture, _QUALITY)[1]).tobytes()
    return Shown(row, f"data:image/jpeg;base64,{base64.b64encode(content).decode()}")
