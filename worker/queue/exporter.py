"""Metrics over HTTP: what the ledger says at this moment, and what the processes counted."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from worker.errors import HcBatchError, PortUnusable
from worker.log import Hindrance
from worker.multiprocess_metrics import Address
from worker.queue.celery_app import KEY_PREFIX, QUEUE
from worker.queue.redis_client import connect, translated
from worker.store.progress import census
from worker.store.session import Database

logger = logging.getLogger(__name__)


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
    host, port = address
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(_Present(database, broker_url, disks))
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise PortUnusable(f"{host}:{port}: {error.strerror or error}") from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


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
