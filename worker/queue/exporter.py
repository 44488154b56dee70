"""Metrics over HTTP: what the ledger says at this moment, and what the processes counted."""

from __future__ import annotations

import logging
import shutil
import socket
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from worker.errors import HcBatchError, PortUnusable
from worker.log import Hindrance
from worker.multiprocess_metrics import Address
from worker.queue.celery_app import KEY_PREFIX, QUEUE
from worker.queue.redis_client import connect, translated
from worker.retry import repeating
from worker.store.deliveries import standing
from worker.store.progress import census
from worker.store.session import Database

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

_PAUSE_S = 0.02  # so that a connection that cannot be accepted does not keep a processor busy


@contextmanager
def exporting(
    address: Address | None, database: Database, broker_url: str, disks: Sequence[Path]
) -> Iterator[None]:
    """Serve ``http://HOST:PORT/metrics`` during the block; nothing where there is no address.

    Raises ``PortUnusable`` where it cannot listen there.
    """
    if address is None:
        yield
        return
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(_Present(database, broker_url, disks))
    with (
        closing(_listening(address, registry)) as server,
        repeating("exporter", server.handle_request, _PAUSE_S, at_once=True),
    ):
        yield


class _Server(ThreadingWSGIServer):
    """Answers each scrape in a thread of its own."""

    timeout = 0.5  # seconds for one ``handle_request``: for so long the end may have to wait

    def close(self) -> None:
        """Listen no more; who is being answered is not waited for."""
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Tell of one who left before the answer, and the like, without a traceback."""
        logger.debug("a scrape failed: %s", type(sys.exception()).__name__)


class _Handler(WSGIRequestHandler):
    timeout = 30  # seconds for one who connects and asks nothing

    def log_message(self, *_: object) -> None:
        """Say nothing of each scrape."""


def _listening(address: Address, registry: CollectorRegistry) -> _Server:
    host, port = address
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        of_family = type("_OfFamily", (_Server,), {"address_family": family})
        server: _Server = make_server(host, port, _answers(registry), of_family, _Handler)
    except OSError as error:
        raise PortUnusable(f"{host}:{port}: {error.strerror or error}") from error
    return server


def _answers(registry: CollectorRegistry) -> WSGIApplication:
    """Return what answers a scrape; where it cannot, that is told once, in a line."""
    hindrance = Hindrance(logger, "metrics are served again")
    answer = make_wsgi_app(registry)

    def told(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            body: list[bytes] = answer(environ, start_response)
        except (OSError, LookupError, RuntimeError, ValueError, struct.error) as error:
            # What the processes counted lies in files, which may be damaged or swept away.
            hindrance.tell(f"metrics cannot be served: {type(error).__name__}")
            start_response("500 Internal Server Error", [])
            return []
        hindrance.tell(None)
        return body

    return told


class _Present(Collector):
    """Asked at each scrape; what cannot be known is left out."""

    def __init__(self, database: Database, broker_url: str, disks: Sequence[Path]) -> None:
        self._database = database
        self._broker_url = broker_url
        self._disks = disks
        self._hindrance = Hindrance(logger, "all metrics are known again")

    def collect(self) -> Iterator[Metric]:
        try:
            yield from self._of_ledger()
            yield self._of_broker()
        except HcBatchError as error:
            self._hindrance.tell(str(error))
        else:
            self._hindrance.tell(None)
        yield self._of_disks()

    def _of_ledger(self) -> Iterator[Metric]:
        ledger = census(self._database)
        scans = GaugeMetricFamily("hc_scans", "Scans in the ledger.", labels=["state"])
        for status, count in ledger.counts.items():
            scans.add_metric([status], count)
        yield scans
        yield GaugeMetricFamily(
            "hc_oldest_queued_seconds",
            "How long the oldest scan has waited.",
            ledger.oldest_queued_s,
        )
        rejected = CounterMetricFamily(
            "hc_rejected", "Scans that ended without an HC, by the reason.", labels=["code"]
        )
        for code, count in ledger.codes.items():
            rejected.add_metric([code], count)
        yield rejected
        sending = GaugeMetricFamily(
            "hc_deliveries",
            "Objects for archives, by where they stand.",
            labels=["destination", "state"],
        )
        for (destination, state), count in standing(self._database).items():
            sending.add_metric([destination, state], count)
        yield sending

    def _of_broker(self) -> Metric:
        with translated(), connect(self._broker_url) as client:
            waiting = int(client.llen(f"{KEY_PREFIX}{QUEUE}"))
        return GaugeMetricFamily(
            "hc_redis_queue_length", "Chunks of scans that no worker has taken yet.", waiting
        )

    def _of_disks(self) -> Metric:
        free = GaugeMetricFamily("hc_disk_free_bytes", "Room on the disk.", labels=["folder"])
        for folder in filter(Path.exists, self._disks):
            free.add_metric([str(folder)], shutil.disk_usage(folder).free)
        return free
