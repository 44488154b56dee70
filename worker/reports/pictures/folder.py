"""Annotated images into a folder, one file a row; one that cannot be drawn costs itself alone."""

from __future__ import annotations

import errno
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePath

import cv2
import numpy as np

from hcmodel.arrays import ColorImage
from worker.errors import (
    DiskFull,
    HcBatchError,
    OutputUnwritable,
    ScanFailed,
    ScanRejected,
    codes_of,
)
from worker.private_folder import make_missing
from worker.reading.sandbox.pool import ReaderPool
from worker.reports.output_file import replacing_bytes
from worker.reports.pictures.annotated import picture_of
from worker.reports.pictures.original import pixels_of_row
from worker.result import Status
from worker.roots import Roots
from worker.store.rows import ReportRow

_READERS = 2
_AHEAD = 8
"""Images in memory at once, at most."""
_LONGEST_STEM = 60
_NOT_SAFE = re.compile(r"[^A-Za-z0-9._-]+")
_UNFINISHED = (Status.QUEUED, Status.RUNNING)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What became of a row's picture: ``path`` where it is, or ``problem``, why there is none."""

    row: ReportRow
    path: Path | None = None
    problem: HcBatchError | None = None


def draw_rows(rows: Iterable[ReportRow], folder: Path, roots: Roots) -> Iterator[Drawn]:
    """Write a picture of each row that has ended; yield what became of it, in order.

    Measures nothing: what is drawn is what the row says. Raises ``OutputUnwritable`` and
    ``DiskFull``, which would meet all others too.
    """
    make_folder(folder)
    ahead: deque[Future[Drawn]] = deque()
    with (
        ReaderPool(_READERS, roots=roots.paths) as readers,
        ThreadPoolExecutor(_READERS) as threads,
    ):
        try:
            for row in rows:
                if Status(row.status) in _UNFINISHED:
                    continue
                ahead.append(threads.submit(_draw, row, folder, roots, readers))
                if len(ahead) >= _AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


def _draw(row: ReportRow, folder: Path, roots: Roots, readers: ReaderPool) -> Drawn:
    if row.origin.rows is None:  # it was refused before it had any pixels
        kind = codes_of(HcBatchError).get(row.code or "", ScanRejected)
        return Drawn(row, problem=kind())
    try:
        pixels = pixels_of_row(row, roots, readers)
    except (ScanRejected, ScanFailed) as error:
        return Drawn(row, problem=error)
    path = folder / picture_name(row)
    write_picture(path, picture_of(row, pixels, f"scan {row.scan_id}, frame {row.frame}"))
    return Drawn(row, path)


def picture_name(row: ReportRow) -> str:
    """Return a file's name that is its row's alone and begins with the row's ``scan_id``."""
    return f"{row.scan_id:06}-{safe_stem(row.source)}{frame_mark(row.frame)}.png"


def safe_stem(source: str) -> str:
    """Return what is left of a file's name, without suffix, in letters that are safe anywhere."""
    name = source.rpartition(":")[2] if "/" not in source else source
    stem = _NOT_SAFE.sub("_", PurePath(name).stem).strip("._-")
    return stem[:_LONGEST_STEM] or "image"


def frame_mark(frame: int) -> str:
    """Return how a frame other than the first is told in a name."""
    return f"-f{frame}" if frame else ""


def make_folder(folder: Path, apart_from: Sequence[Path] = ()) -> None:
    """Create the folder, for this user alone where it is new. Raises ``OutputUnwritable``.

    ``apart_from``: folders of images, in which pictures would be taken for images next time.
    """
    inside = folder.absolute().resolve()
    for images in apart_from:
        if inside.is_relative_to(images.absolute().resolve()):
            raise OutputUnwritable(f"{folder} lies in {images}: pictures would pass for images")
    try:
        make_missing(folder)
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "it is no folder")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(str(folder)) from error
        raise OutputUnwritable(f"{folder}: {error.strerror}") from error


def write_picture(path: Path, picture: ColorImage) -> None:
    """Write a PNG, whole or not at all. Raises ``OutputUnwritable`` and ``DiskFull``."""
    content = np.asarray(cv2.imencode(".png", picture)[1]).tobytes()
    with replacing_bytes(path) as file:
        file.write(content)
