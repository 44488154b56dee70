"""``run``: measured in this process, into the same ledger, and continued after an interrupt."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hcmodel.model_card import SHIPPED
from rig.series import write_copies
from worker.result import Status
from worker.run import measure_run, prepare_run
from worker.sample_files import write_samples
from worker.settings import Settings
from worker.store.claims import claim_next
from worker.store.progress import counts, latest_batches
from worker.store.recovery import requeue
from worker.store.rows import select_rows
from worker.store.session import Database

pytestmark = pytest.mark.skipif(not SHIPPED.exists(), reason="needs the shipped weights")

PROGRAM = """
import sys
from pathlib import Path
from worker.run import measure_run, prepare_run
from worker.settings import Settings
from worker.store.session import open_database

def tell(claim, status):
    print(status, flush=True)
    if sys.argv[2] == "slowly":
        sys.stdin.readline()

settings = Settings.from_environment()
with open_database(settings) as database:
    batch = prepare_run(database, settings, [Path(sys.argv[1])])
    measure_run(database, settings, batch, tell)
"""


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite alone: what the ledger does is tested on both."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


def stopped_after_one(environment: dict[str, str], folder: Path, end: signal.Signals) -> None:
    """A run that is stopped when its first scan is finished."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder), "slowly"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(end)
    process.communicate()


def test_an_interrupted_run_keeps_what_it_measured_and_goes_on(
    settings: Settings, database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    inbox = tmp_path / "in"
    write_samples(inbox)
    write_copies(inbox, 60, seed=5)
    stopped_after_one(environment, inbox, signal.SIGINT)
    kept = list(select_rows(database))
    ended = sum(row.measured_at is not None for row in kept)
    assert 0 < ended < len(kept) - 30
    assert [row.measured_at is not None for row in kept[:ended]] == [True] * ended
    assert {row.status for row in kept[ended:]} == {"queued"}

    (batch,) = latest_batches(database)
    (others,) = claim_next(database, batch.batch, "elsewhere:1:1:a", lease_s=600, limit=1)
    stopped_after_one(environment, inbox, signal.SIGKILL)
    then = sum(row.measured_at is not None for row in select_rows(database))
    assert ended < then < len(kept) - 1

    last = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(inbox), "on"],
        env=environment,
        capture_output=True,
        check=True,
    )
    rows = list(select_rows(database))
    assert len(last.stdout.split()) == len(rows) - then - 1
    assert [row.scan_id for row in rows if row.measured_at is None] == [others.scan_id]
    assert rows[:ended] == kept[:ended]
    # Ctrl-C costs nobody an attempt; a kill costs those one that were in hand.
    assert max(row.attempts for row in rows) == 2
    assert len(latest_batches(database)) == 1
    assert counts(database)[Status.RUNNING] == 1
    assert prepare_run(database, settings, [inbox]) == batch.batch


def test_equal_images_differ_by_their_sidecars_and_a_mended_one_counts(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    write_samples(tmp_path / "samples")
    right, smaller = '{"pixel_size_mm": 0.24}', '{"pixel_size_mm": 0.2}'
    for name, text in {"a": right, "b": smaller, "c": '{"pixel_size": 0.24}'}.items():
        folder = tmp_path / "in" / name
        folder.mkdir(parents=True)
        shutil.copy(tmp_path / "samples/sidecar.png", folder / "head.png")
        (folder / "head.json").write_text(text)
    batch = prepare_run(database, settings, [tmp_path / "in"])
    measure_run(database, settings, batch)
    a, b, c = select_rows(database)
    assert a.sizes.hc_mm is not None
    assert b.sizes.hc_mm == pytest.approx(a.sizes.hc_mm / 1.2)
    assert (c.status, c.code) == ("rejected", "sidecar-invalid")

    (tmp_path / "in/c/head.json").write_text(right)
    assert requeue(database, batch) == 1
    measure_run(database, settings, batch)
    *_, c = select_rows(database)
    assert (c.status, c.sizes.hc_mm) == ("duplicate", a.sizes.hc_mm)
