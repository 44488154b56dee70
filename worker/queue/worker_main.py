"""The worker: takes messages, measures, and keeps ledger and broker in step."""

from __future__ import annotations

import os
import platform
import warnings
from contextlib import ExitStack, suppress

from celery.exceptions import SecurityWarning

from worker import log
from worker.errors import HcBatchError
from worker.measuring.instrument import verify_weights
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
from worker.store.session import open_database


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
        worker.start()
        # Its processes are gone; what they held need not wait for a lease, nor costs an attempt.
        with suppress(HcBatchError):  # then the leases run out by themselves
            for owner in filter(is_of_a_child, present_owners(database)):
                give_back(database, owner)
        return worker.exitcode or 0
