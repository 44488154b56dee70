"""From rows to objects in memory, in order; one that cannot be made costs itself alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from worker.errors import FileChanged, HcBatchError, ScanFailed, ScanRejected
from worker.reading.sandbox.pool import ReaderPool
from worker.reports.objects.forms import Form, content_of
from worker.reports.objects.keyed_uid import UidMaker
from worker.reports.objects.measurement import Measurement, measurement_of
from worker.reports.pictures.annotated import picture_of
from worker.reports.pictures.original import pixels_of_row
from worker.roots import Roots
from worker.store.rows import ReportRow

_READERS = 2
_AHEAD = 8
"""Objects in memory at once, at most."""


@dataclass(frozen=True, slots=True)
class MadeObject:
    """What became of some rows: ``content`` of their object, or ``problem``, why there is none.

    ``rows``: those that the object is about; ``without``: how many have no HC.
    """

    rows: tuple[ReportRow, ...]
    without: int = 0
    content: bytes | None = None
    problem: HcBatchError | None = None


@dataclass(frozen=True, slots=True)
class Making:
    """How objects are made; ``with_patient``: DICOM ones carry their source's patient module.

    ``readers``: those of someone who makes objects again and again; without, some are started.
    """

    form: Form
    uids: UidMaker
    roots: Roots = field(default_factory=Roots)
    with_patient: bool = False
    readers: ReaderPool | None = None


def make_objects(groups: Iterable[Sequence[ReportRow]], how: Making) -> Iterator[MadeObject]:
    """Yield what became of each group of rows, in order. Raises ``ExtraMissing``."""
    ahead: deque[Future[MadeObject]] = deque()
    with _readers(how) as readers, ThreadPoolExecutor(_READERS) as threads:
        try:
            for rows in groups:
                ahead.append(threads.submit(_made, tuple(rows), how, readers))
                if len(ahead) >= _AHEAD:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


@contextmanager
def _readers(how: Making) -> Iterator[ReaderPool]:
    if how.readers is not None:
        yield how.readers
        return
    with ReaderPool(_READERS, roots=how.roots.paths) as readers:
        yield readers


def _made(rows: tuple[ReportRow, ...], how: Making, readers: ReaderPool) -> MadeObject:
    measurements: dict[str, Measurement] = {}
    without = 0
    for row in rows:
        try:
            measurement = _measurement(row, how, readers)
        except (ScanRejected, ScanFailed) as error:
            return MadeObject((row,), problem=error)
        if measurement is None:
            without += 1
        else:
            measurements.setdefault(measurement.identity, measurement)  # a duplicate says the same
    if not measurements:
        return MadeObject(rows, without)
    told = tuple(measurement.row for measurement in measurements.values())
    try:
        picture = None
        if how.form.draws:
            pixels = pixels_of_row(told[0], how.roots, readers)
            picture = picture_of(told[0], pixels, f"frame {told[0].frame}")
        content = content_of(how.form, list(measurements.values()), how.uids, picture)
    except (ScanRejected, ScanFailed) as error:
        return MadeObject(rows, problem=error)
    return MadeObject(told, without, content)


def _measurement(row: ReportRow, how: Making, readers: ReaderPool) -> Measurement | None:
    """Return the row's measurement with the image to which it refers, if its form needs one.

    Raises ``FileChanged`` where another image lies there now, and as reading does.
    """
    measurement = measurement_of(row)
    is_dicom = row.file.sop_instance_uid is not None
    if measurement is None or not (how.form.needs_image or (how.form.is_dicom and is_dicom)):
        return measurement
    image = readers.read_image_reference(
        how.roots.located(row.source), with_patient=how.with_patient
    )
    if image.sha256 != row.file.sha256:
        raise FileChanged
    return replace(measurement, image=image)
