"""Bring back what was lost, in any worker: leases run out, messages gone, rows never published."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from worker.metrics import LAST_RECONCILED, REPUBLISHED
from worker.pulse import Pulse
from worker.queue.embedded_redis import EmbeddedRedis
from worker.queue.publisher import Publisher, reachable_publisher
from worker.retry import repeating
from worker.settings import Settings
from worker.store.claims import give_back
from worker.store.owner import is_known_dead
from worker.store.recovery import expired_owners, free_lost, present_owners, take_unpublished
from worker.store.session import Database

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovered:
    """Scans taken from owners that died or fell silent, and scans published again."""

    freed: int
    published: int


def reconcile(database: Database, publisher: Publisher, settings: Settings) -> Recovered:
    """Make the broker's list fit the ledger again; a rising count means that it loses.

    Raises ``ServiceUnavailable``, as all here do.
    """
    return Recovered(free_lost(database), publish_due(database, publisher, settings))


def publish_due(database: Database, publisher: Publisher, settings: Settings) -> int:
    """Publish what waits in the ledger but not in the broker; return how many scans."""
    published = 0
    begun_s = time.monotonic()
    list_empty = not publisher.waiting()
    while ids := take_unpublished(
        database,
        list_empty=list_empty,
        # As of the beginning: what was published since is not due again, however long this takes.
        grace_s=settings.reconcile_s + time.monotonic() - begun_s,
    ):
        publisher.publish(ids)
        published += len(ids)
        REPUBLISHED.inc(len(ids))
    return published


def publish_now(database: Database, settings: Settings) -> int:
    """Publish what is due at once, where a broker runs; else the next worker does it.

    Returns how many scans.
    """
    with reachable_publisher(settings) as publisher:
        return 0 if publisher is None else publish_due(database, publisher, settings)


@contextmanager
def reconciling(database: Database, settings: Settings, broker_url: str) -> Iterator[None]:
    """Reconcile now and then beside the block, in a thread."""
    with closing(Publisher(settings, broker_url)) as publisher:
        reconciler = _Reconciler(database, settings, publisher)
        with repeating("reconciler", reconciler.work, settings.reconcile_s, at_once=True):
            yield


class _Reconciler:
    """One round after the other, and whether the last one came to its end."""

    def __init__(self, database: Database, settings: Settings, publisher: Publisher) -> None:
        self._database = database
        self._settings = settings
        self._publisher = publisher
        self._embedded = EmbeddedRedis(settings.data_dir) if settings.broker_url is None else None
        self._pulse = Pulse(settings.data_dir, "worker", settings.reconcile_s)
        self._is_outage = False
        self._lenient_until_s = -math.inf
        # An outage may just have ended: those that live renew their leases meanwhile.
        self._patient_until_s = time.monotonic() + settings.lease_s

    def work(self) -> None:
        """Do one round.

        What an outage cost its owners costs no attempt: for a lease after it those that live may
        renew theirs; what is then found to be lost, for the length of another, was lost to it.
        """
        self._pulse.beat()
        present_s = time.monotonic()
        if self._is_outage:
            self._lenient_until_s = present_s + 2 * self._settings.lease_s
        self._is_outage = True
        if self._embedded is not None:
            self._embedded.ensure()
        if present_s < self._lenient_until_s:
            freed = self._free_leniently(present_s)
        else:
            freed = free_lost(self._database, expired=present_s > self._patient_until_s)
        published = publish_due(self._database, self._publisher, self._settings)
        self._publisher.note_reconciled()
        self._is_outage = False  # an error would have left this line out
        LAST_RECONCILED.set_to_current_time()
        if freed or published:
            logger.info("freed %d, published %d", freed, published)

    def _free_leniently(self, present_s: float) -> int:
        lost = {owner for owner in present_owners(self._database) if is_known_dead(owner)}
        if present_s > self._lenient_until_s - self._settings.lease_s:
            lost.update(expired_owners(self._database))
        return sum(give_back(self._database, owner) for owner in lost)
