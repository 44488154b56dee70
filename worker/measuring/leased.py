"""Scans from the ledger through the instrument and back: in a worker as in ``run``."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from worker import failpoint, log
from worker.errors import HcBatchError, OperatorError, ServiceUnavailable, TimeLimit
from worker.metrics import STAGE_SECONDS
from worker.result import Result, Status
from worker.retry import repeating, until_available
from worker.settings import Settings
from worker.store.claims import (
    Claim,
    claim,
    claim_next,
    claim_waiting,
    content_key,
    find_measured,
    finish,
    give_back,
    renew,
)
from worker.store.owner import new_owner
from worker.store.session import Database

if TYPE_CHECKING:
    from worker.measuring.instrument import Instrument, ScanRequest

logger = logging.getLogger(__name__)

_STORE = STAGE_SECONDS.labels("store")

# Of a chunk's time limit: a message takes on more work for so long, and needs the rest to end.
_MORE_SHARE = 0.25

# Owners of this process whose scans could not be given back, the database being away: first thing
# when it is there again, or the next claim would count as another attempt.
_owed: list[str] = []

Value = TypeVar("Value")
OnFinished = Callable[[Claim, Status], None]


def measure_ids(
    database: Database,
    open_instrument: Callable[[], Instrument],
    settings: Settings,
    scan_ids: Sequence[int],
    time_limit: type[Exception],
) -> int:
    """Measure those of the scans that are free, and for a while what else waits; return how many.

    What else waits is read while the network measures these, and fills its batches. The
    instrument, which takes its time to load, is opened after the claim: what is claimed is not
    taken for lost meanwhile. ``time_limit`` is what the queue raises into a chunk that takes too
    long. Raises ``ServiceUnavailable`` where the database is away for more than a lease, and what
    the instrument raises; what is left is given back.
    """
    finished = 0
    with _hold(database, settings, time_limit=time_limit) as hold:
        take = partial(claim, database, scan_ids, hold.owner, lease_s=settings.lease_s)
        fresh = hold.patiently(partial(take, untried=True))
        failpoint.hit("after-claim")

        def more() -> list[Claim]:
            size = settings.chunk_size
            with suppress(ServiceUnavailable):  # these can be ended when it is back
                return claim_waiting(database, hold.owner, lease_s=settings.lease_s, limit=size)
            return []

        if fresh:
            claims = _and_more(fresh, more, for_s=settings.chunk_limit_s * _MORE_SHARE)
            finished += hold.measure(open_instrument(), claims)
        # What was tried before may be what killed its worker: alone, it takes no neighbour along.
        while alone := hold.patiently(partial(take, limit=1)):
            finished += hold.measure(open_instrument(), alone)
    failpoint.hit("before-ack")
    return finished


def measure_batch(
    database: Database,
    instrument: Instrument,
    settings: Settings,
    batch_id: str,
    on_finished: OnFinished = lambda _claim, _status: None,
) -> int:
    """Measure all free scans of a batch; return how many were finished. Raises as above."""
    with _hold(database, settings, on_finished) as hold:

        def take(limit: int, untried: bool) -> list[Claim]:
            return claim_next(
                database,
                batch_id,
                hold.owner,
                lease_s=settings.lease_s,
                limit=limit,
                untried=untried,
            )

        def fresh() -> Iterator[Claim]:
            while claims := take(settings.chunk_size, untried=True):
                yield from claims

        finished = hold.measure(instrument, fresh())
        while alone := take(1, untried=False):
            finished += hold.measure(instrument, alone)
    return finished


def _and_more(
    claims: list[Claim], more: Callable[[], list[Claim]], for_s: float
) -> Iterator[Claim]:
    end_s = time.monotonic() + for_s
    while claims:
        yield from claims
        claims = more() if time.monotonic() < end_s else []


@dataclass(slots=True)
class _Hold:
    """What one owner works on.

    ``moved_s`` is when the last result came, by the monotonic clock; ``is_waiting``: for a database
    that is away, which no scan is to blame for.
    """

    database: Database
    owner: str
    lease_s: float
    on_finished: OnFinished
    moved_s: float = field(default_factory=time.monotonic)
    is_waiting: bool = False

    def patiently(self, act: Callable[[], Value]) -> Value:
        """Ask the database, and wait for it for a lease; raises ``ServiceUnavailable`` then."""
        self.is_waiting = True  # and stays so where a time limit ends the waiting
        value = until_available(act, self.lease_s)
        self.is_waiting = False
        return value

    def measure(self, instrument: Instrument, claims: Iterable[Claim]) -> int:
        """Measure and finish each; return how many were still the owner's at the end."""
        held: dict[int, Claim] = {}

        def requests() -> Iterator[ScanRequest]:
            for claimed in claims:
                held[claimed.scan_id] = claimed
                yield _request(claimed)

        def known(contents: Sequence[tuple[ScanRequest, str]]) -> set[int]:
            keys = {
                request.scan_id: content_key(
                    sha256, request.frame, request.manual, held[request.scan_id].any_plane
                )
                for request, sha256 in contents
            }
            find = partial(find_measured, self.database, set(keys.values()), instrument.model)
            before = self.patiently(find)
            return {scan_id for scan_id, key in keys.items() if key in before}

        finished = 0
        for group in instrument.measure_groups(requests(), known):
            self.moved_s = time.monotonic()
            ended = [
                (replace(held.pop(request.scan_id), manual=request.manual), result)
                for request, result in group
            ]
            # Results outlive a short absence of the database; their scans are ours for a lease.
            with _STORE.time():
                states = self.patiently(partial(finish, self.database, ended))
            for (claimed, result), status in zip(ended, states, strict=True):
                with log.about(batch=claimed.batch_id, scan=claimed.scan_id):
                    self._tell(claimed, result, status)
                if status is not None:
                    finished += 1
                    self.on_finished(claimed, status)
        return finished

    def _tell(self, claimed: Claim, result: Result, status: Status | None) -> None:
        """Log the status reached in the ledger; ``None``: the scan is another's meanwhile."""
        if status is None:
            logger.warning("scan %d was taken over or cancelled meanwhile", claimed.scan_id)
        elif result.code is not None:
            logger.info("scan %d: %s, %s", claimed.scan_id, status, result.code)
        else:
            logger.debug("scan %d: %s", claimed.scan_id, status)


def _request(claimed: Claim) -> ScanRequest:
    from worker.measuring.instrument import ScanRequest

    return ScanRequest(
        claimed.scan_id, claimed.source, claimed.frame, claimed.manual, claimed.any_plane
    )


@contextmanager
def _hold(
    database: Database,
    settings: Settings,
    on_finished: OnFinished = lambda _claim, _status: None,
    time_limit: type[Exception] = TimeLimit,
) -> Iterator[_Hold]:
    """Hold for one owner: leases are renewed while work moves; what is left is given back."""
    hold = _Hold(database, new_owner(), settings.lease_s, on_finished)
    renew_leases = partial(_renew, hold, settings)
    # Two renewals may fail before a lease runs out.
    with repeating("heartbeat", renew_leases, settings.lease_s / 3, at_once=False):
        while _owed:
            hold.patiently(partial(give_back, database, _owed[-1]))
            _owed.pop()
        try:
            yield hold
        finally:
            because = _blame(sys.exception(), time_limit, hold)
            try:
                give_back(database, hold.owner, because)
            except (ServiceUnavailable, OperatorError):
                if because is None:
                    _owed.append(hold.owner)


def _blame(
    error: BaseException | None, time_limit: type[Exception], hold: _Hold
) -> HcBatchError | None:
    """Return why the scans in hand may be at fault; None where they certainly are not."""
    if error is None or isinstance(error, OperatorError | ServiceUnavailable):
        return None
    if not isinstance(error, Exception):
        return None  # an interrupt, or the end of the process
    if isinstance(error, time_limit):
        return None if hold.is_waiting else TimeLimit()
    return error if isinstance(error, HcBatchError) else HcBatchError(type(error).__name__)


def _renew(hold: _Hold, settings: Settings) -> None:
    if time.monotonic() - hold.moved_s > settings.chunk_limit_s:
        raise TimeLimit(f"nothing was finished for {settings.chunk_limit_s:g} s: leases run out")
    renew(hold.database, hold.owner, lease_s=settings.lease_s)
