"""Deliveries carried out: made, sent, and recorded; what does not work is tried again later."""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from pydicom import dcmread

from worker import failpoint
from worker.errors import ScanFailed
from worker.hospital.answers import NOT_COMMITTED, NotNow, Refused
from worker.hospital.destinations import (
    Destination,
    DicomDestination,
    destinations_file,
    find_destination,
)
from worker.hospital.store_scu import store_scu
from worker.hospital.web import StowSender
from worker.log import Hindrance
from worker.reading.sandbox.pool import ReaderPool
from worker.reports.objects.forms import OBJECT_FORMS, Form
from worker.reports.objects.keyed_uid import UidMaker, uid_maker
from worker.reports.objects.made import MadeObject, Making, make_objects
from worker.result import Status
from worker.retry import repeating, until_available
from worker.settings import Settings
from worker.store import deliveries
from worker.store.deliveries import Delivery
from worker.store.filter import Filter
from worker.store.owner import new_owner
from worker.store.rows import ReportRow, select_rows, select_scans
from worker.store.session import Database, open_database

logger = logging.getLogger(__name__)

SENDABLE = tuple(form.name for form in OBJECT_FORMS.values() if form.is_dicom)
_AT_ONCE = 4
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_TICK_S = 0.5
_PIPELINE_S = 5.0
_OVERLAP = timedelta(minutes=10)
"""How far clocks of machines may differ: what ended so long before a look is looked at again."""


class Sender(Protocol):
    """The way to one archive."""

    def send(self, content: bytes) -> bool:
        """Send an object; return whether it is vouched for. Raises ``Refused`` and ``NotNow``."""

    def close(self) -> None:
        """Give back what is held."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of deliveries came to; ``waiting``: queued still."""

    sent: int
    refused: int
    waiting: int


class Deliverer:
    """Carries out one destination's deliveries."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        destination: Destination,
        uids: UidMaker,
        readers: ReaderPool,
        sender: Sender,
    ) -> None:
        self._database = database
        self._settings = settings
        self._destination = destination
        self._uids = uids
        self._readers = readers
        self._sender = sender
        self._owner = new_owner()
        self._outage = Hindrance(logger, f"{destination.name}: it takes objects again")
        self._pause_s = _FIRST_PAUSE_S
        self._quiet_until_s = 0.0

    def run(self, stop: threading.Event, for_s: float) -> Outcome:
        """Deliver what is due and becomes due, until nothing waits, ``stop`` or ``for_s``."""
        deadline_s = time.monotonic() + for_s
        done = {"sent": 0, "refused": 0}
        while not stop.is_set():
            for word in self.step():
                done[word] += 1
            due_s = deliveries.next_due_s(self._database, self._destination.name)
            rest_s = self._quiet_until_s - time.monotonic()
            left_s = deadline_s - time.monotonic()
            if due_s is None or left_s <= 0:
                break
            stop.wait(min(max(due_s, rest_s, 0.0), left_s, _TICK_S))
        tally = deliveries.tally(self._database, self._destination.name)
        waiting = sum(count for (state, _), count in tally.items() if state == "queued")
        return Outcome(done["sent"], done["refused"], waiting)

    def step(self) -> Iterator[str]:
        """Try some deliveries that are due; yield ``sent`` or ``refused`` for each that ended."""
        if time.monotonic() < self._quiet_until_s:
            return
        claimed = deliveries.claim_due(
            self._database, self._destination.name, self._owner, limit=_AT_ONCE
        )
        for number, (delivery, made) in enumerate(self._made(claimed)):
            try:
                word = self._deliver(delivery, made)
            except NotNow as trouble:
                deliveries.put_off(self._database, delivery, trouble.code, str(trouble))
                if trouble.code == NOT_COMMITTED:
                    continue
                # The others would meet the same trouble.
                self._rest(trouble)
                deliveries.give_back(self._database, claimed[number + 1 :])
                return
            if word is not None:
                yield word

    def _rest(self, trouble: NotNow) -> None:
        self._outage.tell(f"{self._destination.name}: {trouble} [{trouble.code}]")
        self._quiet_until_s = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)

    def _made(self, claimed: Sequence[Delivery]) -> Iterator[tuple[Delivery, MadeObject]]:
        """Yield each delivery with its object, made anew."""
        for delivery in claimed:
            form = OBJECT_FORMS[delivery.form]
            how = Making(
                form,
                self._uids,
                self._settings.data_roots,
                self._destination.own_archive,
                self._readers,
            )
            (made,) = make_objects([self._rows(delivery, form)], how)
            yield delivery, made

    def _rows(self, delivery: Delivery, form: Form) -> list[ReportRow]:
        rows = list(select_scans(self._database, [delivery.scan_id]))
        study = rows[0].file.study_instance_uid if rows else None
        if not form.by_study or study is None:
            return rows
        which = Filter(study=study, statuses=[Status.MEASURED, Status.FLAGGED])
        return list(select_rows(self._database, which))

    def _deliver(self, delivery: Delivery, made: MadeObject) -> str | None:
        """Return ``sent`` or ``refused``, ``None`` for another try; raises ``NotNow``.

        A source that cannot be read this time is put off, one that is gone ends its delivery.
        """
        if made.content is None:
            problem = made.problem
            code, message = ("no-hc", "the row has no HC any more")
            if problem is not None:
                code, message = problem.code, str(problem)
            if isinstance(problem, ScanFailed):
                deliveries.put_off(self._database, delivery, code, message)
                return None
            return self._refused(delivery, code, message)
        uid = str(
            dcmread(io.BytesIO(made.content), specific_tags=["SOPInstanceUID"]).SOPInstanceUID
        )
        try:
            committed = self._sender.send(made.content)
        except Refused as refusal:
            return self._refused(delivery, refusal.code, str(refusal), uid)
        failpoint.hit("after-send")
        self._outage.tell(None)
        self._pause_s = _FIRST_PAUSE_S
        if deliveries.sent(self._database, delivery, uid, committed=committed):
            logger.info("sent: scan %d as %s to %s", delivery.scan_id, uid, self._destination.name)
        return "sent"

    def _refused(self, delivery: Delivery, code: str, message: str, uid: str | None = None) -> str:
        deliveries.refuse(self._database, delivery, code, message, uid)
        logger.warning(
            "refused: scan %d, %s: %s", delivery.scan_id, self._destination.name, message
        )
        return "refused"


def _uid_of(content: bytes) -> str:
    return str(dcmread(io.BytesIO(content), specific_tags=["SOPInstanceUID"]).SOPInstanceUID)


@contextmanager
def deliverer(
    settings: Settings, name: str, readers: ReaderPool | None = None
) -> Iterator[tuple[Deliverer, Database]]:
    """Open database, readers (unless some are given) and the way to a destination.

    Raises ``DestinationUnknown``, ``DestinationsUnusable``, ``TlsUnusable``, ``AddressTaken``.
    """
    destination = find_destination(destinations_file(settings), name)
    uids = uid_maker(settings)
    with (
        open_database(settings) as database,
        nullcontext(readers) if readers else ReaderPool(1, roots=settings.data_roots.paths) as pool,
        _sender(destination) as sender,
    ):
        deliveries.free_of_the_dead(database, name)
        yield Deliverer(database, settings, destination, uids, pool, sender), database


@contextmanager
def _sender(destination: Destination) -> Iterator[Sender]:
    if isinstance(destination, DicomDestination):
        with store_scu(destination) as sender:
            yield sender
    else:
        yield StowSender(destination)


@contextmanager
def pipeline(settings: Settings, form: Form, name: str) -> Iterator[None]:
    """Send every measurement of the ledger beside the block, as it comes, each once.

    Waits for a database out of reach. Raises an ``OperatorError`` as ``deliverer`` does.
    """
    with ExitStack() as stack:
        sending, database = until_available(lambda: stack.enter_context(deliverer(settings, name)))
        looked: list[datetime] = []

        def look() -> None:
            since = looked[-1] - _OVERLAP if looked else None
            present = datetime.now(UTC)
            deliveries.enqueue(database, name, form.name, Filter(since=since), form.by_study)
            looked[:] = [present]
            while list(sending.step()):
                pass

        with repeating("sender", look, _PIPELINE_S, at_once=True):
            yield
