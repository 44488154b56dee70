"""Bring back what was lost, in any worker: leases run out, messages gone, rows never published."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from worker.errors import ServiceUnavailable
from worker.metrics import REPUBLISHED, WORKER_LOST
from worker.queue.embedded_redis import EmbeddedRedis
from worker.queue.publisher import Publisher, reachable_publisher
from worker.settings import Settings
from worker.store.owner import is_known_dead
from worker.store.recovery import free_dead, free_expired, present_owners, take_unpublished
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


def free_lost(database: Database) -> int:
    """Take scans from owners that died or fell silent; return how many."""
    dead = [owner for owner in present_owners(database) if is_known_dead(owner)]
    freed = free_dead(database, dead) + free_expired(database)
    WORKER_LOST.inc(freed)
    return freed


def publish_due(database: Database, publisher: Publisher, settings: Settings) -> int:
    """Publish what waits in the ledger but not in the broker; return how many scans."""
    published = 0
    list_empty = not publisher.waiting()
    while ids := take_unpublished(database, list_empty=list_empty, grace_s=settings.reconcile_s):
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
    done = threading.Event()
    thread = threading.Thread(target=_run, args=(database, settings, broker_url, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _run(database: Database, settings: Settings, broker_url: str, done: threading.Event) -> None:
    publisher = Publisher(settings, broker_url)
    embedded = EmbeddedRedis(settings.data_dir) if settings.broker_url is None else None
    while True:
        try:
            if embedded is not None:
                embedded.ensure()
            recovered = reconcile(database, publisher, settings)
        except ServiceUnavailable as error:
            logger.warning("%s", error)
        else:
            if recovered.freed or recovered.published:
                logger.info("freed %d, published %d", recovered.freed, recovered.published)
        if done.wait(settings.reconcile_s):
            publisher.close()
            return
