"""The Celery application: every setting that keeps messages from being lost, and the worker.

Redis carries hints; the ledger is the truth. No setting makes Celery on Redis lossless, so these
make losses rare and recovery quick, and ``worker.queue.reconciler`` does the rest.
"""

from __future__ import annotations

import os
from typing import Any

# SIGTERM as SIGQUIT: a stopped worker gives its chunk back after a short wait, instead of at the
# chunk's end. Celery reads it when it is imported.
os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")

from celery import Celery, signals
from kombu.transport import TRANSPORT_ALIASES

from worker import log
from worker.settings import Settings

QUEUE = "measure"
KEY_PREFIX = "hc:"
TASK = "measure_chunk"

_HARD_LIMIT_MARGIN_S = 30.0  # for a chunk that was told to end to give back what it holds

# By its alias: a transport that is given by name is not heard where the address is redis+socket://.
TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), "worker.queue.transport:Transport"))


def create_app(settings: Settings, broker_url: str) -> Celery:
    """Return the application on this broker; it connects when first used."""
    app = Celery(
        "hc-batch",
        broker=broker_url,
        include=["worker.queue.tasks"],
        events="worker.queue.worker_events:OnceEvents",
    )
    app.conf.update(_configuration(settings))
    return app


def _configuration(settings: Settings) -> dict[str, Any]:
    return {
        # Open to JSON only: with pickle, one open Redis is remote code execution.
        "accept_content": ["json"],
        "task_serializer": "json",
        # No result backend: the ledger has the results.
        "task_ignore_result": True,
        "task_default_queue": QUEUE,
        # A message lives until its chunk is in the ledger. Whatever the end, it is then done: the
        # ledger decides about another try, not the broker.
        "task_acks_late": True,
        "task_acks_on_failure": True,
        "task_acks_on_timeout": True,
        # Again after its process died, as often as max_retries says: rejecting has no end.
        "task_retry_on_worker_lost": True,
        # Soft: the chunk is given back with the reason. Hard: for a codec that hears no signal.
        "task_soft_time_limit": settings.chunk_limit_s,
        "task_time_limit": settings.chunk_limit_s + _HARD_LIMIT_MARGIN_S,
        # Both places: the worker reads the first, remote control the second.
        "broker_transport_options": _transport_options(settings),
        "visibility_timeout": settings.visibility_timeout_s,
        "broker_connection_timeout": 5,  # as ``socket_connect_timeout`` below
        # For ever, and from the start: a worker waits for its broker, whoever comes up first.
        "broker_connection_retry": True,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # A Redis that is full, read-only or loading answers with errors: wait for it as well.
        "broker_channel_error_retry": True,
        # TensorFlow hangs after a fork. Time limits need processes: threads ignore them.
        "worker_pool": "prefork",
        "worker_pool_start_method": "spawn",
        "worker_concurrency": 1,
        # Loading the network takes longer than the default 4 s, on a busy machine by far.
        "worker_proc_alive_timeout": 180,
        # Chunks are long: one that waits in a busy worker could be with an idle one.
        "worker_prefetch_multiplier": 1,
        # The lease tells who works; a chunk need not die with the connection.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # A stopped worker may finish its chunk for as long, then the chunk goes back; supervisors
        # kill after ten seconds or more. An idle one holds nothing and stops at once.
        "worker_soft_shutdown_timeout": 8.0,
        "worker_enable_soft_shutdown_on_idle": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
    }


def _transport_options(settings: Settings) -> dict[str, Any]:
    return {
        "global_keyprefix": KEY_PREFIX,
        # More than twice a chunk's hard limit, or slow chunks would be delivered again.
        "visibility_timeout": settings.visibility_timeout_s,
        # Look for abandoned messages at each interval, not at each tenth.
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        # Without a timeout, a half-open connection is never noticed: 15 s are longer than a slow
        # Redis takes, and short enough for a worker to go on within half a minute.
        "socket_timeout": 15,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }


@signals.setup_logging.connect
def _configure_log(**_: object) -> None:
    """In the worker and in each of its processes, instead of Celery's own way."""
    settings = Settings.from_environment()
    log.configure(settings.log_level, settings.log_format)
