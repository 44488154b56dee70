"""``hc-batch doctor`` where services answer, where they are gone, and where something is wrong."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from rig.command import HC_BATCH, Done, hc, hc_from_the_start
from rig.waiting import until
from worker import doctor as examination
from worker.settings import Settings
from worker.store.session import open_database


def doctor(
    environment: dict[str, str], run: Callable[..., Done] = hc
) -> tuple[int, dict[str, str]]:
    done = run(environment, "doctor")
    assert "secret" not in done.stdout + done.stderr
    assert "geheim" not in done.stdout + done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert list(lines) == [
        *("database", "schema", "clock", "broker", "workers", "weights", "disk", "gpu")
    ], done.stderr
    return done.returncode, lines


def test_services_that_answer_are_ok_and_a_missing_worker_is_told(
    environment: dict[str, str], redis_url: str
) -> None:
    environment = environment | {"HC_BROKER_URL": redis_url}
    with open_database(Settings.from_environment(environment)):
        code, lines = doctor(environment)
    wrong = [about for about, line in lines.items() if " WRONG " in line]
    assert (code, wrong) == (2, ["workers"])
    assert lines["workers"].endswith("no worker listens. Start one: hc-batch worker")


def test_services_out_of_reach_end_with_4_and_show_no_password(
    environment: dict[str, str],
) -> None:
    environment = environment | {
        "HC_DATABASE_URL": "postgresql://hc:secret@127.0.0.1:1/hc",
        "HC_BROKER_URL": "redis://:geheim@127.0.0.1:1/0",
    }
    code, lines = doctor(environment)
    assert code == 4
    for about in ("database", "schema", "clock"):
        assert "WRONG" in lines[about]
        assert "HC_DATABASE_URL" in lines[about]
    for about in ("broker", "workers"):
        assert "WRONG" in lines[about]
        assert "HC_BROKER_URL" in lines[about]
    assert " ok " in lines["weights"]


def test_tables_of_another_version_are_told(environment: dict[str, str]) -> None:
    settings = Settings.from_environment(environment)
    with open_database(settings):
        pass
    engine = create_engine(settings.database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    engine.dispose()
    code, lines = doctor(environment)
    assert code == 2
    assert "found 0000" in lines["schema"]
    assert "hc-batch db upgrade" in lines["schema"]


def test_weights_without_their_card_are_told(environment: dict[str, str], tmp_path: Path) -> None:
    weights = tmp_path / "other.keras"
    weights.write_bytes(b"no network")
    code, lines = doctor(environment | {"HC_WEIGHTS": str(weights)})
    assert code == 2
    assert "WRONG" in lines["weights"]
    assert "HC_WEIGHTS" in lines["weights"]


def test_a_clock_that_is_off_and_a_disk_that_is_full_are_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # This machine's clock and disk are well, so the bounds move instead.
    monkeypatch.setattr(examination, "MAX_CLOCK_DIFFERENCE_S", -1)
    monkeypatch.setattr(examination, "MIN_FREE_BYTES", 2**80)
    with open_database(settings):
        found = {each.about: each for each in examination.examine(settings)}
    assert found["clock"].text.endswith("s from the database's")
    assert "timedatectl set-ntp true" in (found["clock"].remedy or "")
    assert " GiB free in " in found["disk"].text
    assert "HC_DATA_DIR" in (found["disk"].remedy or "")


@pytest.mark.parametrize(
    ("answer", "text_of_it", "is_well"),
    [("echo Tesla", "Tesla", True), ("exit 9", "the driver does not answer", False)],
)
def test_the_gpu_is_what_its_driver_says(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    text_of_it: str,
    is_well: bool,
) -> None:
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\n{answer}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    (gpu,) = [each for each in examination.examine(settings) if each.about == "gpu"]
    assert (gpu.text, gpu.remedy is None) == (text_of_it, is_well)


def test_on_the_first_day_nothing_is_wrong_but_the_missing_worker(tmp_path: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("HC_")
    } | {"HC_DATA_DIR": str(tmp_path / "new")}
    code, lines = doctor(environment, hc_from_the_start)
    for about in ("database", "schema", "clock"):
        assert lines[about].endswith("nothing yet, the first command makes it")
    assert [about for about, line in lines.items() if " WRONG " in line] == ["workers"]
    assert code == 2
    assert not (tmp_path / "new").exists()


def test_workers_are_counted_and_the_reconcilers_last_success_is_told(
    environment: dict[str, str], redis_url: str, tmp_path: Path
) -> None:
    environment = environment | {"HC_BROKER_URL": redis_url}
    log = tmp_path / "log"
    with log.open("wb") as file:
        worker = subprocess.Popen([HC_BATCH, "worker"], env=environment, stderr=file)
    try:
        until(lambda: " ready." in log.read_text())
        _, lines = doctor(environment)
    finally:
        worker.terminate()
        worker.wait(60)
    assert " ok " in lines["workers"]
    assert "1 listening; ledger and broker last compared " in lines["workers"]
    assert lines["workers"].endswith(" s ago")
