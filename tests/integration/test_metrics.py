"""What a real worker and a real watcher tell Prometheus."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hcmodel.model_card import SHIPPED
from worker.intake.submit import submit
from worker.queue.exporter import exporting
from worker.result import Status
from worker.sample_files import write_series
from worker.settings import Settings
from worker.store.progress import wait
from worker.store.session import Database, open_database

pytestmark = pytest.mark.skipif(not SHIPPED.exists(), reason="needs the shipped weights")

COMMAND = Path(sys.executable).with_name("hc-batch")
IMAGES = 12
BATCH = 4  # of the network, on a processor
LIMIT_S = 120


@contextmanager
def serving(environment: dict[str, str], *arguments: str) -> Iterator[int]:
    """A command with metrics at a free port, stopped as an operator would."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    process = subprocess.Popen(
        [COMMAND, *arguments, "--metrics-port", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port
        process.send_signal(signal.SIGINT)
        process.wait(60)
    finally:
        process.kill()
        process.wait()  # or the next test is blamed for it


def scrape(port: int) -> dict[str, float]:
    """Name with labels to value; waits until it is served."""
    deadline_s = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline_s:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
            return {
                " ".join([sample.name, *sample.labels.values()]): sample.value
                for family in text_string_to_metric_families(page.read().decode())
                for sample in family.samples
            }
        time.sleep(0.1)
    raise TimeoutError


def test_a_worker_counts_what_its_processes_did(
    environment: dict[str, str], settings: Settings, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    write_series(folder, IMAGES, seed=5)
    (folder / "broken.dcm").write_bytes(b"DICM")
    waiting = submit(settings, [folder]).batch
    environment |= {"HC_CHUNK_SIZE": "2"}
    with serving(environment, "worker") as port:
        assert wait(database, waiting, LIMIT_S).finished
        # Messages whose scans went into a fuller batch are still to be taken, with nothing to do.
        deadline_s = time.monotonic() + LIMIT_S
        while (found := scrape(port))["hc_redis_queue_length"] and time.monotonic() < deadline_s:
            time.sleep(0.2)
    measured = found[f"hc_scans {Status.MEASURED}"] + found[f"hc_scans {Status.FLAGGED}"]
    assert measured == IMAGES
    assert found[f"hc_scans {Status.QUEUED}"] == found["hc_oldest_queued_seconds"] == 0
    assert found["hc_rejected_total no-pixel-data"] == 1
    assert found["hc_stage_seconds_count read"] == IMAGES + 1
    # The results of one or more batches of the network are stored together.
    assert 1 <= found["hc_stage_seconds_count store"] <= found["hc_batch_fill_ratio_count"] + 1
    # Chunks of two, and yet full batches: the ledger had more.
    assert found["hc_batch_fill_ratio_count"] == -(-IMAGES // BATCH)
    assert found["hc_batch_fill_ratio_sum"] == IMAGES / BATCH
    assert found["hc_stage_seconds_count find"] == found["hc_batch_fill_ratio_count"]
    # Submitted before there was a broker: published by this worker.
    assert found["hc_republished_total"] == IMAGES + 1
    assert found["hc_worker_lost_total"] == 0
    assert found["hc_redis_queue_length"] == 0
    assert found[f"hc_disk_free_bytes {settings.data_dir}"] > 0


def test_a_watcher_tells_what_waits(environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "incoming"
    write_series(folder, 2, seed=6)
    with serving(environment, "watch", str(folder), "--interval", "0.2", "--settle", "0.2") as port:
        while not (found := scrape(port)).get(f"hc_scans {Status.QUEUED}"):
            time.sleep(0.2)
    assert found["hc_watch_scan_seconds_count"] > 0
    assert found[f"hc_disk_free_bytes {folder}"] > 0
    assert found["hc_oldest_queued_seconds"] >= 0


def test_a_port_in_use_is_named(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [COMMAND, "worker", "--metrics-port", port],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
    assert ended.returncode == 2
    assert "port-unusable" in ended.stderr
    assert port in ended.stderr


def answer(port: int) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as page:
            return int(page.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_no_scrape_stops_the_next_one(
    postgresql_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Clients that say nothing, or leave, and a folder that was swept away."""
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(shared))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    caplog.set_level(logging.INFO)
    with (
        open_database(Settings(tmp_path, postgresql_url)) as database,
        exporting(("127.0.0.1", port), database, f"redis://127.0.0.1:{port}/0", []),
        socket.create_connection(("127.0.0.1", port)),
    ):
        assert "exporter" in {thread.name for thread in threading.enumerate()}
        assert answer(port) == 200
        for said in (b"", b"GET /metrics HTTP/1.0\r\n\r\n", b"\0" * 99):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.send(said)
        for garbage in (b"", b"\xff" * 40, b"\x20\0\0\0\0\0\0\0" + b"\x30\0\0\0" * 10):
            (shared / "counter_1.db").write_bytes(garbage)
            assert answer(port) in (200, 500)
        assert answer(port) == 500
        (shared / "counter_1.db").unlink()
        assert answer(port) == 200
    assert caplog.text.count("metrics cannot be served") <= 3, "once for each kind"
    assert "metrics are served again" in caplog.text
    with socket.create_server(("127.0.0.1", port)):
        pass
