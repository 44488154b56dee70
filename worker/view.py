"""Files measured for one look: nothing is stored but their pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from worker.errors import ScanFailed, ScanRejected
from worker.intake.discover import Options, Request
from worker.private_folder import require_temporary
from worker.settings import Settings
from worker.store.batches import NewScan, NewSkip

if TYPE_CHECKING:
    from worker.result import Result


@dataclass(frozen=True, slots=True)
class Viewed:
    """One frame of one file: its result, and its picture where there were pixels."""

    source: str
    frame: int
    result: Result
    path: Path | None


def view(
    settings: Settings, paths: Iterable[Path], options: Options, folder: Path
) -> Iterator[Viewed | NewSkip]:
    """Measure in this process and write a picture of each frame into ``folder``; yield in order.

    Raises an ``OperatorError`` before anything is measured, or where nothing can be written.
    """
    from worker.reports.pictures.folder import make_folder

    require_temporary()
    request = Request.of(paths, options, settings.data_roots)
    make_folder(folder, [path for path in request.paths if path.is_dir()])
    scans: list[NewScan] = []
    for found in request.discover():
        if isinstance(found, NewSkip):
            yield found
        else:
            scans.append(found)
    if scans:
        yield from _measured(settings, scans, folder)


def _measured(settings: Settings, scans: list[NewScan], folder: Path) -> Iterator[Viewed]:
    # The network takes seconds to import: only those who measure pay for it.
    from worker.measuring.instrument import ScanRequest, open_instrument
    from worker.reading.sandbox.pool import ReaderPool
    from worker.reports.pictures.annotated import picture_of
    from worker.reports.pictures.folder import write_picture
    from worker.reports.pictures.original import pixels_of

    requests = [
        ScanRequest(number, scan.source, scan.frame, scan.manual, scan.any_plane)
        for number, scan in enumerate(scans)
    ]
    roots = settings.data_roots
    with open_instrument(settings) as instrument, ReaderPool(1, roots=roots.paths) as readers:
        for request, result in instrument.measure(requests):
            path = None
            if result.origin.rows is not None:
                with suppress(ScanRejected, ScanFailed):  # gone since it was measured
                    pixels = pixels_of(
                        request.source, request.frame, result.file.sha256, roots, readers
                    )
                    path = folder / _name(request.source, request.frame)
                    write_picture(path, picture_of(result, pixels))
            yield Viewed(request.source, request.frame, result, path)


def _name(source: str, frame: int) -> str:
    """Return a picture's name, the same for the same frame of the same path."""
    from worker.reports.pictures.folder import frame_mark, safe_stem

    digest = hashlib.sha256(source.encode()).hexdigest()[:8]
    return f"{safe_stem(source)}{frame_mark(frame)}-{digest}.png"
