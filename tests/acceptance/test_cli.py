"""The commands as people type them, each in a process of its own (``rig.command``)."""

import csv
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from hcmodel.model_card import SHIPPED
from rig.command import HC_BATCH, hc, hc_from_the_start
from rig.series import write_copies
from worker.sample_files import PIXEL_SIZES, write_samples
from worker.store.rows import COLUMNS


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    write_samples(folder)
    return folder


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """An environment with nothing set but where its files may go."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
    return kept | {"HC_DATA_DIR": str(tmp_path / "data")}


def rows(home: dict[str, str], *words: str) -> list[dict[str, str]]:
    done = hc(home, "results", "--format", "csv", *words)
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout)))


def test_run_measures_what_it_can_and_names_the_rest(
    home: dict[str, str], samples: Path, tmp_path: Path
) -> None:
    sizes = ("--pixel-sizes", samples / PIXEL_SIZES)
    done = hc_from_the_start(home, "run", samples, *sizes)
    assert done.returncode == 3, done.stderr
    assert "research use only" in done.stderr
    assert "notes.txt" in done.stderr

    by_name = {Path(row["source"]).name: row for row in rows(home)}
    assert by_name["broken.dcm"]["code"] == "file-damaged"
    assert by_name["no_head.dcm"]["code"] == "no-head"
    unscaled = by_name["no_scale.png"]
    assert (unscaled["status"], unscaled["code"]) == ("rejected", "spacing-unknown")
    assert unscaled["hc_mm"] == unscaled["row_mm"] == ""
    assert float(unscaled["semi_axis_a_px"]) > 100
    late = by_name["late.dcm"]
    assert abs(float(late["hc_mm"]) - 320) < 6
    assert late["status"] in {"measured", "flagged"}
    assert late["spacing_source"] == "us-region"
    assert late["ga_formula"] == "hadlock-1984"
    assert float(late["bpd_mm"]) < float(late["ofd_mm"])
    assert late["sop_instance_uid"]
    assert late["notice"].startswith("research use only")
    assert by_name["sidecar.png"]["spacing_source"] == "manual"
    framed = by_name["interface.dcm"]
    assert framed["region_box"] == "140,90,940,630"
    assert abs(float(framed["center_x_px"]) - (140 + 400)) < 20
    assert abs(float(framed["center_y_px"]) - (90 + 270)) < 20
    anisotropic = by_name["anisotropic.dcm"]
    assert (float(anisotropic["row_mm"]), float(anisotropic["column_mm"])) == (0.20, 0.25)
    assert tuple(late)[: len(COLUMNS)] == COLUMNS

    again = hc(home, "run", samples, *sizes)
    assert again.returncode == 3
    twice = [row for row in rows(home) if Path(row["source"]).name == "late.dcm"]
    assert [row["status"] for row in twice] == [late["status"], "duplicate"]
    assert twice[0]["hc_mm"] == twice[1]["hc_mm"]

    as_json = json.loads(hc_from_the_start(home, "results", "--format", "json").stdout)
    assert len(as_json) == len(rows(home))
    assert {type(row["hc_mm"]) for row in as_json} == {float, type(None)}
    lines = hc(home, "results", "--format", "jsonl", "--status", "rejected").stdout.splitlines()
    assert {json.loads(line)["status"] for line in lines} == {"rejected"}
    target = tmp_path / "hc.csv"
    assert hc(home, "results", "--format", "csv", "--out", target).returncode == 0
    assert len(target.read_text().splitlines()) == len(as_json) + 1
    assert "early.dcm" in hc(home, "results", "--source", "early*").stdout
    assert len(rows(home, "--limit", "2")) == 2
    assert rows(home, "--since", "2999-01-01") == []


def measured_so_far(home: dict[str, str]) -> int:
    """Asked of the database itself: a command would take longer than the run."""
    path = Path(home["HC_DATA_DIR"]) / "hc-batch.sqlite3"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as connection, suppress(sqlite3.OperationalError):
        found = connection.execute(
            "SELECT count(*) FROM scans WHERE state IN ('measured', 'flagged')"
        )
        return int(found.fetchone()[0])
    return 0


def test_an_interrupted_run_keeps_and_continues(home: dict[str, str], tmp_path: Path) -> None:
    write_copies(tmp_path / "in", 64, seed=8)
    command = [str(HC_BATCH), "run", str(tmp_path / "in")]
    first = subprocess.Popen(command, env=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline_s = time.monotonic() + 90
    while time.monotonic() < deadline_s and not measured_so_far(home):
        time.sleep(0.02)
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=60)
    assert first.returncode == 130, said.decode()
    assert "same command again continues" in said.decode()
    ended = ("--status", "measured", "--status", "flagged")
    kept = {row["source"]: row["measured_at"] for row in rows(home, *ended)}
    assert 0 < len(kept) < 64

    done = hc(home, *command[1:])
    assert done.returncode == 0, done.stderr
    after = {row["source"]: row["measured_at"] for row in rows(home)}
    assert len(after) == 64
    assert kept.items() <= after.items()


def test_submit_without_a_worker_keeps_the_rows(home: dict[str, str], samples: Path) -> None:
    done = hc_from_the_start(home, "submit", samples / "early.dcm", samples / "middle.dcm")
    assert done.returncode == 0, done.stderr
    assert "no worker listens" in done.stderr
    batch = done.stdout.strip()
    assert hc_from_the_start(home, "status", batch).stdout.strip() == f"{batch}: 2 queued"
    waited = hc(home, "submit", samples / "early.dcm", "--wait", "--timeout", "1")
    assert waited.returncode == 5


def test_submit_names_the_files_it_skips(
    home: dict[str, str], samples: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(samples / "early.dcm", tmp_path / "in")
    for number in range(25):
        (tmp_path / "in" / f"notes{number:02}.txt").write_text("words")
    done = hc(home, "submit", tmp_path / "in")
    assert f"skipped: {tmp_path / 'in' / 'notes00.txt'} (text: a text file)" in done.stderr
    assert done.stderr.count("skipped: ") == 20
    assert "5 more: hc-batch status" in done.stderr
    listed = hc(home, "status", done.stdout.strip(), "--skipped").stdout
    assert listed.count("skipped: ") == 25


def test_inspect_tells_what_a_file_says(home: dict[str, str], samples: Path) -> None:
    done = hc_from_the_start(home, "inspect", samples / "anisotropic.dcm", "--format", "json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["row_mm"], row["column_mm"]) == (0.20, 0.25)


def test_requeue_measures_again_what_was_rejected(home: dict[str, str], samples: Path) -> None:
    done = hc(home, "run", samples / "no_scale.png")
    assert done.returncode == 3
    batch = rows(home)[0]["batch"]
    assert "1 scans" in hc_from_the_start(home, "requeue", batch).stderr
    assert rows(home)[0]["status"] == "queued"
    assert "1 scans" in hc_from_the_start(home, "cancel", batch).stderr
    assert (rows(home)[0]["status"], rows(home)[0]["code"]) == ("rejected", "cancelled")
    assert "0 scans" in hc(home, "requeue", "--code", "no-head").stderr
    assert "0 scans" in hc(home, "requeue", "--older-than", "3600").stderr
    assert "1 scans" in hc(home, "requeue", "--older-than", "0").stderr
    assert "1 scans" in hc(home, "cancel", batch).stderr
    assert "1 scans" in hc(home, "requeue", "--code", "cancelled").stderr
    assert hc(home, "requeue").returncode == 2
    assert hc(home, "requeue", "no-such-batch").returncode == 2


@pytest.mark.parametrize(
    ("words", "others", "code", "said"),
    [
        (["run", "/no/such/file"], {}, 2, "path-missing"),
        (["run", "{x}", "--pixel-size", "-1"], {}, 2, "positive"),
        (["run", "{x}", "--pixel-size", "0.1,0.2,0.3"], {}, 2, "no pixel size"),
        (["run", "{x}", "--frames", "some"], {}, 2, "every:N"),
        (["results"], {"HC_DATABASE_URL": "mysql://x"}, 2, "HC_DATABASE_URL"),
        (
            ["results"],
            {"HC_DATABASE_URL": "postgresql://u:secret@127.0.0.1:9/x"},
            4,
            "database-unreachable",
        ),
        (["submit", "{x}"], {"HC_BROKER_URL": "redis://:s@127.0.0.1:9/0"}, 4, "broker-unreachable"),
        (["status", "no-such-batch"], {}, 2, "batch-unknown"),
        (["nonsense"], {}, 2, "No such command"),
    ],
)
def test_errors_name_the_cause_and_the_code(
    home: dict[str, str],
    samples: Path,
    words: list[str],
    others: dict[str, str],
    code: int,
    said: str,
) -> None:
    done = hc(home | others, *[word.format(x=samples / "early.dcm") for word in words])
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_weights_that_are_not_their_cards_stop_everything(
    home: dict[str, str], samples: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "hc18.keras"
    shutil.copy(SHIPPED, weights)
    shutil.copy(SHIPPED.with_suffix(".json"), weights.with_suffix(".json"))
    others = home | {"HC_WEIGHTS": str(weights)}
    assert hc_from_the_start(others, "model", "verify").returncode == 0
    assert "research only" in hc(home, "model", "show").stdout
    with weights.open("r+b") as file:
        file.seek(1000)
        file.write(b"\0\0\0\0")
    for words in (["model", "verify"], ["run", str(samples / "early.dcm")], ["worker"]):
        done = hc(others, *words)
        assert done.returncode == 2, done.stderr
        assert "model-mismatch" in done.stderr
    assert rows(home)[0]["status"] == "queued"


def test_database_commands(home: dict[str, str], tmp_path: Path) -> None:
    environment = home | {"HC_DATABASE_URL": f"sqlite:///{tmp_path / 'x.sqlite3'}"}
    assert "revision" in hc_from_the_start(environment, "db", "upgrade").stdout
    assert "ok" in hc(environment, "db", "check").stdout
    with closing(sqlite3.connect(tmp_path / "x.sqlite3")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
    done = hc(environment, "results")
    assert done.returncode == 2
    assert "schema-outdated" in done.stderr
    assert "hc-batch db upgrade" in done.stderr
