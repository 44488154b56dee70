"""``hc-batch status --follow`` ends with the batch, and says how it ended."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from rig.command import hc
from rig.ending import finish
from worker.intake.submit import submit
from worker.result import Result, Status
from worker.settings import Settings
from worker.store.claims import claim_next
from worker.store.session import Database


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """What is tested here is the command: one kind of database will do."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.mark.parametrize(
    ("status", "exit_code", "named"),
    [(Status.MEASURED, 0, True), (Status.REJECTED, 3, True), (Status.MEASURED, 0, False)],
)
def test_it_waits_for_the_end(
    environment: dict[str, str],
    settings: Settings,
    database: Database,
    tmp_path: Path,
    status: Status,
    exit_code: int,
    named: bool,
) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    batch = submit(settings, [tmp_path / "a.png"]).batch
    command = [sys.executable, "-m", "cli.main", "status", "--follow", *([batch] if named else [])]
    follower = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert follower.stderr is not None
    assert "no worker listens" in follower.stderr.readline()
    time.sleep(1)
    assert follower.poll() is None
    (claimed,) = claim_next(database, batch, "test", lease_s=60, limit=1)
    finish(database, claimed, Result(status, "m"))
    told, _ = follower.communicate(timeout=90)
    assert f"{batch}: 1 {status}" in told
    assert follower.returncode == exit_code


def test_with_no_batch_at_all_it_ends_at_once(environment: dict[str, str]) -> None:
    done = hc(environment, "status", "--follow")
    assert (done.returncode, done.stdout) == (0, "nothing yet\n")
