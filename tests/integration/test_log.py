"""The log of a real worker: every line in the chosen form, and nothing between them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import make_url


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """What is tested here is the log: one kind of database will do."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.mark.parametrize("form", ["text", "json"])
def test_every_line_has_the_chosen_form(
    environment: dict[str, str], tmp_path: Path, form: str
) -> None:
    path = tmp_path / "worker.log"
    with path.open("w") as file:
        worker = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "worker"],
            env=environment | {"HC_LOG_FORMAT": form},
            stdout=file,
            stderr=file,
        )
    try:
        deadline_s = time.monotonic() + 60
        while " ready." not in path.read_text():
            assert worker.poll() is None, path.read_text()
            assert time.monotonic() < deadline_s, path.read_text()
            time.sleep(0.2)
        lines = path.read_text().splitlines()
    finally:
        worker.terminate()
        worker.wait(60)
    if form == "json":
        events = [json.loads(line) for line in lines]
        assert all({"event", "level", "logger", "timestamp"} <= set(each) for each in events)
    else:
        stamp = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}Z [A-Z]+ [\w.]+: ")
        assert [line for line in lines if not stamp.match(line)] == []


def test_lines_about_a_scan_carry_its_ids(environment: dict[str, str], tmp_path: Path) -> None:
    environment = environment | {"HC_LOG_FORMAT": "json"}
    (tmp_path / "damaged.dcm").write_bytes(b"no image at all")
    command = [sys.executable, "-m", "cli.main"]
    path = tmp_path / "worker.log"
    with path.open("w") as file:
        worker = subprocess.Popen([*command, "worker"], env=environment, stdout=file, stderr=file)
    try:
        submit = [*command, "submit", str(tmp_path / "damaged.dcm"), "--wait"]
        subprocess.run(submit, env=environment, check=False, timeout=180)
        deadline_s = time.monotonic() + 60
        while "finished 1 scans" not in path.read_text():
            assert time.monotonic() < deadline_s, path.read_text()
            time.sleep(0.2)
        events = [json.loads(line) for line in path.read_text().splitlines()]
    finally:
        worker.terminate()
        worker.wait(60)
    (ended,) = [each for each in events if each["event"].startswith("scan 1: rejected")]
    assert ended["scan"] == 1
    assert ended["batch"]
    (chunk,) = [each for each in events if each["event"] == "finished 1 scans"]
    assert ended["task"] == chunk["task"]
    assert "scan" not in chunk


def test_passwords_are_in_no_line_at_any_level(
    environment: dict[str, str], redis_url: str, postgresql_url: str, tmp_path: Path
) -> None:
    database_url = make_url(postgresql_url).set(password="secret")
    environment = environment | {
        "HC_DATABASE_URL": database_url.render_as_string(hide_password=False),
        "HC_BROKER_URL": redis_url,
        "HC_LOG_LEVEL": "DEBUG",
    }
    (tmp_path / "damaged.dcm").write_bytes(b"no image at all")
    command = [sys.executable, "-m", "cli.main"]
    path = tmp_path / "worker.log"
    with path.open("w") as file:
        worker = subprocess.Popen([*command, "worker"], env=environment, stdout=file, stderr=file)
        submit = [*command, "submit", str(tmp_path / "damaged.dcm"), "--wait", "--timeout", "120"]
        done = subprocess.run(submit, env=environment, stdout=file, stderr=file, check=False)
        worker.terminate()
        worker.wait(60)
    log = path.read_text()
    assert done.returncode == 3, log
    assert " DEBUG " in log
    assert "geheim" not in log
    assert "secret" not in log
