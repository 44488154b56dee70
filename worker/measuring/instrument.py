"""The whole sentence: requests in, results out, in batches that the network likes.

Reading runs beside the network: reader processes decode the next files while this batch is
predicted, and no more than a few batches are ever in memory.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import cv2

from hcmodel.cascade import find_heads
from hcmodel.engine import Engine, OutOfMemory
from hcmodel.geometry import Spacing
from hcmodel.measurement import Measurement, measure_head
from worker.errors import ExtraMissing, GpuOutOfMemory, HcBatchError, ScanFailed
from worker.measuring.conclusion import RegionHead, about, conclude, refusal
from worker.measuring.weights import trusted_weights
from worker.metrics import BATCH_FILL_RATIO, STAGE_SECONDS
from worker.reading.sandbox.pool import ReaderPool
from worker.result import Result, Status
from worker.roots import Roots
from worker.scan import Region, Scan

if TYPE_CHECKING:
    from hcmodel.preprocess import Prepared
    from worker.settings import Settings

READER_PROCESSES = 2
_MOST_BATCHES = 4
"""Times the network's batch: so many scans end together."""
_HELD_BACK_S = 1.0
"""No result waits longer for others, where the next batch comes."""

_COMPUTING = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    cv2.error,
)
"""What reading, computing and judging may raise. Not all exceptions: the queue's time limit is one
as well, and ends the chunk; and a service out of reach is no scan's fault."""

logger = logging.getLogger(__name__)

_READ = STAGE_SECONDS.labels("read")
_FIND = STAGE_SECONDS.labels("find")


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """One frame of one file to measure.

    ``source`` is its path, relative to a root where there are any (see ``Roots``); ``manual`` is a
    person's pixel size and overrides the file's, ``any_plane`` a person's word for head and plane.
    """

    scan_id: int
    source: str
    frame: int = 0
    manual: Spacing | None = None
    any_plane: bool = False


Measured = tuple[ScanRequest, Result]
Known = Callable[[Sequence[tuple[ScanRequest, str]]], Collection[int]]
"""Of scans with their contents (SHA-256), those that were measured before, by their numbers.

For them the network need not run.
"""


@dataclass(frozen=True, slots=True)
class _View:
    """A region of a scan on its way through the network."""

    region: Region
    prepared: Prepared


@dataclass(slots=True)
class _Pending:
    """A scan whose views wait for the network, or a result that waits for its turn."""

    request: ScanRequest
    scan: Scan | None
    views: list[_View]
    heads: list[RegionHead]
    result: Result | None = None


class Instrument:
    """What measures: the network, loaded once per process, and the readers beside it.

    One result per request, in order; a file that is refused or fails yields a result like any
    other, whatever goes wrong with it, and leaves its neighbours alone. Close it, or use it as a
    context manager, to end the readers.
    """

    def __init__(self, engine: Engine, readers: ReaderPool, roots: Roots, ga_formula: str) -> None:
        self._engine = engine
        self._readers = readers
        self._roots = roots
        self._ga_formula = ga_formula

    @property
    def model(self) -> str:
        """Name and version of the measuring instrument; one result per (scan, model)."""
        return self._engine.model

    @property
    def knows_planes(self) -> bool:
        """Whether a gate behind the network tells in which plane a head lies."""
        return self._engine.gate is not None

    @property
    def batch_size(self) -> int:
        """Images that the network takes at once."""
        return self._engine.batch_size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the reader processes."""
        self._readers.close()

    def measure(
        self, requests: Iterable[ScanRequest], known: Known | None = None
    ) -> Iterator[Measured]:
        """Measure in order of arrival, and yield each request with its result.

        A scan that is ``known`` comes back as ``duplicate`` with its hash alone.
        """
        for group in self.measure_groups(requests, known):
            yield from group

    def measure_groups(
        self, requests: Iterable[ScanRequest], known: Known | None = None
    ) -> Iterator[list[Measured]]:
        """Measure the same, and yield together what ends together, in order of arrival.

        A batch is judged while the network looks at the next one.
        """
        at_work: deque[Future[list[Measured]]] = deque()
        ended: list[Measured] = []
        yielded_s = time.monotonic()
        with ThreadPoolExecutor(self._engine.lanes) as lanes:
            try:
                for waiting in self._batches(requests, known):
                    at_work.append(lanes.submit(self._judged, waiting))
                    if len(at_work) > self._engine.lanes:
                        ended += at_work.popleft().result()
                    is_late = time.monotonic() - yielded_s > _HELD_BACK_S
                    if ended and (is_late or len(ended) >= _MOST_BATCHES * self.batch_size):
                        yield ended
                        ended, yielded_s = [], time.monotonic()
                while at_work:
                    ended += at_work.popleft().result()
                if ended:
                    yield ended
            finally:
                for future in at_work:
                    future.cancel()

    def _batches(
        self, requests: Iterable[ScanRequest], known: Known | None
    ) -> Iterator[list[_Pending]]:
        """Gather scans until they fill a batch of the network, or enough of them need none."""
        waiting: list[_Pending] = []
        unasked: list[_Pending] = []
        for read in self._read_ahead(requests):
            unasked += read
            if not self._are_enough(waiting + unasked):
                continue
            self._set_aside(unasked, known)
            for pending in unasked:
                waiting.append(pending)
                if self._are_enough(waiting):
                    yield waiting
                    waiting = []
            unasked = []
        self._set_aside(unasked, known)
        if waiting + unasked:
            yield waiting + unasked

    def _are_enough(self, waiting: Sequence[_Pending]) -> bool:
        views = sum(len(each.views) for each in waiting)
        return views >= self.batch_size or len(waiting) >= _MOST_BATCHES * self.batch_size

    def _set_aside(self, pending: Iterable[_Pending], known: Known | None) -> None:
        """End those whose content was measured before."""
        with_content = {
            each.request.scan_id: each
            for each in pending
            if each.scan is not None and each.result is None
        }
        if known is None or not with_content:
            return
        contents = [(each.request, each.scan.sha256) for each in with_content.values() if each.scan]
        for scan_id in known(contents):
            each = with_content[scan_id]
            assert each.scan is not None
            each.result = replace(about(each.scan, self.model), status=Status.DUPLICATE)
            each.scan, each.views = None, []  # an image takes much memory

    def _read_ahead(self, requests: Iterable[ScanRequest]) -> Iterator[list[_Pending]]:
        """Yield in order what has been read, at least one."""
        ahead: deque[Future[_Pending]] = deque()
        with ThreadPoolExecutor(READER_PROCESSES) as threads:
            try:
                for request in requests:
                    ahead.append(threads.submit(self._read, request))
                    if len(ahead) > 3 * self.batch_size:
                        yield _ended(ahead)
                while ahead:
                    yield _ended(ahead)
            finally:
                for future in ahead:
                    future.cancel()

    def _read(self, request: ScanRequest) -> _Pending:
        pending = _Pending(request, None, [], [])
        try:
            with self._ending_alone(pending), _READ.time():
                pending.scan = self._readers.read(
                    self._roots.located(request.source), request.frame, request.manual
                )
        except HcBatchError as error:
            pending.result = refusal(error, self.model)
        scan = pending.scan
        if scan is None:
            return pending
        # A sidecar may have said more than the request.
        pending.request = replace(request, manual=scan.manual)
        with self._ending_alone(pending):
            pending.views = [self._view(scan, region) for region in scan.regions]
        return pending

    def _view(self, scan: Scan, region: Region) -> _View:
        box = region.box
        crop = scan.pixels[box.top : box.bottom, box.left : box.right]
        return _View(region, self._engine.prepare(crop, region.spacing))

    def _judged(self, waiting: list[_Pending]) -> list[Measured]:
        views = [(pending, view) for pending in waiting for view in pending.views]
        size = self.batch_size
        for start in range(0, len(views), size):
            self._find(views[start : start + size], size)
        for pending in waiting:
            if pending.result is None:
                with self._ending_alone(pending):
                    pending.result = self._verdict(pending)
            assert pending.result is not None
        return [(each.request, each.result) for each in waiting if each.result]

    def _find(self, batch: Sequence[tuple[_Pending, _View]], size: int) -> None:
        """Find and judge the heads of a batch of at most ``size`` views."""
        try:
            with _FIND.time():
                heads = find_heads([view.prepared for _, view in batch], self._engine)
        except OutOfMemory as error:
            for pending, _ in batch:
                pending.result = refusal(GpuOutOfMemory(str(error)), self.model)
            return
        except _COMPUTING as error:
            if len(batch) == 1:
                self._fail(batch[0][0], error)
            else:  # one of them may have spoilt it for all
                for each in batch:
                    self._find([each], size)
            return
        BATCH_FILL_RATIO.observe(len(batch) / size)
        for (pending, view), head in zip(batch, heads, strict=True):
            if head is not None:
                with self._ending_alone(pending):
                    measured = measure_head(
                        head,
                        view.region.spacing,
                        self._engine.error_model,
                        self._engine.gate,
                        any_plane=pending.request.any_plane,
                    )
                    measured = _in_raster(measured, view.region)
                    pending.heads.append(RegionHead(view.region, measured))

    @contextmanager
    def _ending_alone(self, pending: _Pending) -> Iterator[None]:
        """Let what goes wrong with one scan end this one alone, as failed."""
        try:
            yield
        except _COMPUTING as error:
            self._fail(pending, error)

    def _fail(self, pending: _Pending, error: Exception) -> None:
        kind = type(error).__name__
        *_, last = traceback.extract_tb(error.__traceback__)
        # Without the error's text, which may quote what a file says about a patient.
        logger.warning(
            "scan %d: %s in %s, line %s",
            pending.request.scan_id,
            kind,
            Path(last.filename).name,
            last.lineno,
        )
        pending.result = refusal(ScanFailed(kind), self.model)

    def _verdict(self, pending: _Pending) -> Result:
        assert pending.scan is not None
        return conclude(
            pending.scan,
            pending.heads,
            self.model,
            self._ga_formula,
            any_plane=pending.request.any_plane,
        )


def _ended(ahead: deque[Future[_Pending]]) -> list[_Pending]:
    """Take the first, and those behind it that have come to their end as well."""
    ended = [ahead.popleft().result()]
    while ahead and ahead[0].done():
        ended.append(ahead.popleft().result())
    return ended


def _in_raster(head: Measurement, region: Region) -> Measurement:
    """Return the head of a region's crop, in pixels of the whole image."""
    ellipse = replace(
        head.ellipse,
        center_x_px=head.ellipse.center_x_px + region.box.left,
        center_y_px=head.ellipse.center_y_px + region.box.top,
    )
    return replace(head, ellipse=ellipse)


def open_instrument(settings: Settings) -> Instrument:
    """Load the network and start the readers, once per process.

    Raises ``ModelMismatch`` where the weights are not those of their card, and ``ExtraMissing``.
    """
    # TensorFlow brings a TLS library whose symbols hide psycopg's, unless psycopg came first: a
    # PostgreSQL over TLS would end the process (tensorflow issue 93969).
    import psycopg  # noqa: F401

    try:
        with trusted_weights():
            engine = Engine(settings.weights, thorough=settings.thorough, backend=settings.engine)
    except ImportError as error:  # no scan is to blame
        raise ExtraMissing(f"{error.name}; install this version again") from error
    roots = settings.data_roots
    readers = ReaderPool(READER_PROCESSES, roots=roots.paths, pseudonyms=settings.pseudonyms)
    return Instrument(engine, readers, roots, settings.ga_formula)
