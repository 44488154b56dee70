"""The worker: takes messages, measures, and keeps ledger and broker in step."""

from __future__ import annotations

import logging
import os
import platform
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from billiard import active_children
from celery import signals
from celery.exceptions import SecurityWarning
from celery.worker import state

from worker import log
from worker.errors import HcBatchError
from worker.measuring.weights import verify_weights
from worker.multiprocess_metrics import Address
from worker.private_folder import require_temporary
from worker.queue.broker import serving
from worker.queue.celery_app import create_app
from worker.queue.exporter import exporting
from worker.queue.reconciler import reconciling
from worker.retry import until_available
from worker.settings import Settings
from worker.store.claims import give_back
from worker.store.owner import is_of_a_child
from worker.store.recovery import present_owners
from worker.store.session import Database, open_database

logger = logging.getLogger(__name__)

_FAREWELL_S = 10.0  # after the eight of a soft shutdown: supervisors kill after thirty


def serve(settings: Settings, concurrency: int = 1, metrics: Address | None = None) -> int:
    """Work until stopped by a signal; return the exit code.

    ``concurrency``: processes with a network each; one per GPU. ``metrics``: where to serve them.
    Waits for a database or broker out of reach. Raises ``ModelMismatch`` before it takes a message
    that it could not measure, and ``FolderUnusable``.
    """
    log.configure(settings.log_level, settings.log_format)
    # Its own words are no log lines, and its warning of root is about pickle, which is refused.
    warnings.simplefilter("ignore", SecurityWarning)
    require_temporary()
    verify_weights(settings)
    with ExitStack() as stack:
        broker_url = until_available(lambda: stack.enter_context(serving(settings)))
        database = until_available(lambda: stack.enter_context(open_database(settings)))
        stack.enter_context(exporting(metrics, database, broker_url, [settings.data_dir]))
        stack.enter_context(reconciling(database, settings, broker_url))
        worker = create_app(settings, broker_url).Worker(
            # Several workers of one machine need names of their own.
            hostname=f"hc-{os.getpid()}@{platform.node()}",
            concurrency=concurrency,
            loglevel=settings.log_level,
            # Workers need not know each other; both cost connections and start-up time.
            without_gossip=True,
            without_mingle=True,
            quiet=True,
        )
        # Celery asks new processes to log in its own form until ours is set up in them.
        os.environ.pop("_MP_FORK_LOGLEVEL_", None)
        with _ending_in_time(database):
            worker.start()
        _give_back_all(database)
        is_told_to_end = None not in (state.should_stop, state.should_terminate)
        return 0 if is_told_to_end else worker.exitcode or 0


def _give_back_all(database: Database) -> None:
    """Free what this worker's processes held: they are gone, and it costs no attempt."""
    with suppress(HcBatchError):  # then the leases run out by themselves
        for owner in filter(is_of_a_child, present_owners(database)):
            give_back(database, owner)


@contextmanager
def _ending_in_time(database: Database) -> Iterator[None]:
    """End the process where Celery's farewell to a broker that says nothing takes too long.

    It waits for an answer several times over; by then nothing is measured any more, and what the
    broker is not told the ledger knows.
    """

    def end() -> None:
        logger.warning("the broker says nothing to our end, so it is not waited for")
        for pid in filter(None, (process.pid for process in active_children())):
            os.kill(pid, signal.SIGKILL)
        _give_back_all(database)
        os._exit(0)

    timer = threading.Timer(_FAREWELL_S, end)
    timer.daemon = True

    def begin(**_: object) -> None:
        with suppress(RuntimeError):  # a second signal, and it runs already
            timer.start()

    signals.worker_shutting_down.connect(begin)
    try:
        yield
    finally:
        signals.worker_shutting_down.disconnect(begin)
        timer.cancel()
