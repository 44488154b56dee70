"""What the processes count and time for Prometheus; ``worker.queue.exporter`` serves it."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

STAGE_SECONDS = Histogram(
    "hc_stage_seconds",
    "Time per image: read; per batch: find, its heads; per group that ends together: store.",
    ["stage"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
)
BATCH_FILL_RATIO = Histogram(
    "hc_batch_fill_ratio",
    "Share of the network's batch that held images.",
    buckets=(0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1),
)
REPUBLISHED = Counter(
    "hc_republished", "Scans published again: a rising count means that the broker loses."
)
WORKER_LOST = Counter("hc_worker_lost", "Scans taken from workers that died or fell silent.")
LAST_RECONCILED = Gauge(
    "hc_reconciler_last_success",
    "When ledger and broker were last compared, in seconds since 1970.",
    multiprocess_mode="mostrecent",
)
RECEIVED = Counter("hc_received", "Objects that were sent: stored, repeated, refused.", ["result"])
ASSOCIATIONS = Counter("hc_associations", "Associations: accepted, rejected, aborted.", ["result"])
WATCH_SCAN_SECONDS = Histogram(
    "hc_watch_scan_seconds",
    "Time for one look at a watched folder.",
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100),
)
