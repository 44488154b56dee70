"""The real worker as a process, on SQLite and PostgreSQL, with the shipped weights."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hcmodel.model_card import SHIPPED
from worker.intake.discover import Options
from worker.intake.submit import submit
from worker.queue.embedded_redis import EmbeddedRedis
from worker.queue.publisher import workers_listening
from worker.result import Status
from worker.sample_files import PIXEL_SIZES, write_samples
from worker.settings import Settings
from worker.store.filter import Filter
from worker.store.progress import Progress, counts, latest_batches, progress, wait
from worker.store.rows import select_rows
from worker.store.session import Database
from worker.watching.watch import WatchOptions, watch

pytestmark = pytest.mark.skipif(not SHIPPED.exists(), reason="needs the shipped weights")

LIMIT_S = 240
SERVE = """
import sys
from worker.queue.worker_main import serve
from worker.settings import Settings
if __name__ == "__main__":
    sys.exit(serve(Settings.from_environment()))
"""


@pytest.fixture
def environment(environment: dict[str, str], request: pytest.FixtureRequest) -> dict[str, str]:
    """PostgreSQL with a Redis over the network, SQLite with the embedded one."""
    if "postgresql" not in environment["HC_DATABASE_URL"]:
        return environment
    return environment | {"HC_BROKER_URL": request.getfixturevalue("redis_url")}


@contextmanager
def worker(environment: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker process in a group of its own, stopped as an operator would."""
    program, log = folder / "serve.py", folder / "worker.log"
    program.write_text(SERVE)
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, program],
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
        try:
            yield process
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            written = log.read_text()
            sys.stderr.write(written)
            assert "geheim" not in written


def finished(database: Database, batch: str) -> Progress:
    done = wait(database, batch, LIMIT_S)
    assert done.finished
    return done


def test_phantoms_come_out_with_their_hc_and_only_once(
    settings: Settings, database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    inbox = tmp_path / "in"
    samples = {sample.name: sample for sample in write_samples(inbox)}
    options = Options(pixel_sizes=inbox / PIXEL_SIZES)
    # Submitted before any worker runs. Without a broker, the next one finds it in the ledger.
    first = submit(settings, [inbox], options)
    assert first.published == (settings.broker_url is not None)
    assert not first.workers_listening
    with worker(environment, tmp_path):
        finished(database, first.batch)
        rows = {Path(row.source).name: row for row in select_rows(database)}
        assert rows.keys() == samples.keys()
        for name, sample in samples.items():
            if sample.hc_mm is None:
                assert (rows[name].status, rows[name].sizes.hc_mm) == ("rejected", None), name
                assert rows[name].code
            else:
                assert rows[name].sizes.hc_mm == pytest.approx(sample.hc_mm, rel=0.03), name
        assert rows["no_scale.png"].code == "spacing-unknown"
        assert rows["no_scale.png"].ellipse.semi_axis_a_px is not None
        assert rows["sized.png"].scale.spacing_source == "manual"

        assert workers_listening(settings)
        second = submit(settings, [inbox], options)
        assert second.batch != first.batch
        assert second.workers_listening
        again = finished(database, second.batch).counts
        heads = sum(sample.hc_mm is not None for sample in samples.values())
        assert again[Status.DUPLICATE] == heads
        assert again[Status.MEASURED] == again[Status.FLAGGED] == 0
        for row in select_rows(database, Filter(batch=second.batch)):
            assert row.sizes.hc_mm == rows[Path(row.source).name].sizes.hc_mm

        watched = watched_batch(settings, database, tmp_path / "watched", inbox / "early.dcm")
        assert finished(database, watched).counts[Status.DUPLICATE] == 1
    assert counts(database)[Status.RUNNING] == 0
    assert not EmbeddedRedis(settings.data_dir).answers()


def watched_batch(settings: Settings, database: Database, folder: Path, file: Path) -> str:
    """Watches a folder until a file that arrives there is in the ledger."""
    folder.mkdir()
    stop = threading.Event()
    how = WatchOptions(interval_s=0.2, settle_s=0.2)
    watcher = threading.Thread(target=watch, args=(settings, [folder], Options(), how, stop))
    watcher.start()
    shutil.copy(file, folder)
    while latest_batches(database)[0].kind != "watch":
        stop.wait(0.1)
    batch = latest_batches(database)[0].batch
    while not progress(database, batch).total:
        stop.wait(0.1)
    stop.set()
    watcher.join()
    return batch


@pytest.mark.skipif(not os.environ.get("HC18_DIR"), reason="needs HC18 in HC18_DIR")
def test_real_images_come_out_near_their_annotated_hc(
    settings: Settings, database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    source = Path(os.environ["HC18_DIR"])
    table = source / "training_set_pixel_size_and_HC.csv"
    inbox = tmp_path / "in"
    inbox.mkdir()
    with table.open(encoding="utf-8") as file:
        chosen = list(csv.DictReader(file))[::20][:40]
    truth_mm = {row["filename"]: float(row["head circumference (mm)"]) for row in chosen}
    for name in truth_mm:
        shutil.copy(source / "training_set" / name, inbox)
    with worker(environment, tmp_path):
        batch = submit(settings, [inbox], Options(pixel_sizes=table)).batch
        done = finished(database, batch)
    assert done.counts[Status.MEASURED] + done.counts[Status.FLAGGED] == len(truth_mm) == 40
    apart_mm = [
        abs((row.sizes.hc_mm or 0) - truth_mm[Path(row.source).name])
        for row in select_rows(database)
    ]
    assert statistics.mean(apart_mm) < 4
