"""Where rows go: files that stay whole, and standard outputs that are closed, full or left."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cli import commands
from rig.command import Done, hc, hc_from_the_start
from worker.errors import DiskFull, OutputUnwritable, ServiceUnavailable
from worker.reports.output_file import replacing
from worker.store.batches import BatchKind, NewScan, insert_scans, open_batch
from worker.store.session import Database

COMMAND = [sys.executable, "-m", "cli.main"]
ROWS = 3000


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """What is tested here is the output: one kind of database will do."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture
def ledger(database: Database) -> Database:
    """More rows than a pipe holds."""
    batch = open_batch(database, BatchKind.RUN, "key", "/scans")
    scans = [NewScan(f"/scans/\u732b{number:05}.png") for number in range(ROWS)]
    insert_scans(database, batch, scans, published=False)
    return database


def results(environment: dict[str, str], *words: str | Path) -> Done:
    return hc(environment, "results", *words)


def shell(environment: dict[str, str], line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line, "bash", *COMMAND],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


@pytest.mark.usefixtures("ledger")
def test_the_suffix_chooses_the_form(environment: dict[str, str], tmp_path: Path) -> None:
    assert results(environment, "--out", tmp_path / "a.csv").returncode == 0
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == ROWS
    results(environment, "--out", tmp_path / "a.JSON")
    assert len(json.loads((tmp_path / "a.JSON").read_text())) == ROWS
    results(environment, "--out", tmp_path / "a.jsonl")
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == ROWS
    results(environment, "--out", tmp_path / "b.json", "--format", "csv")
    assert (tmp_path / "b.json").read_text(encoding="utf-8").startswith("batch,source")
    results(environment, "--out", tmp_path / "a.txt", "--limit", "3")
    assert "HC mm" in (tmp_path / "a.txt").read_text(encoding="utf-8")
    dashed = results(environment, "--out", "-", "--format", "jsonl", "--limit", "3")
    assert len(dashed.stdout.splitlines()) == 3
    assert {path.name for path in tmp_path.iterdir() if path.suffix != ".sqlite3"} >= {"a.csv"}
    assert not list(tmp_path.glob("-"))


@pytest.mark.usefixtures("ledger")
def test_a_missing_folder_is_named(environment: dict[str, str], tmp_path: Path) -> None:
    done = results(environment, "--out", tmp_path / "nowhere" / "a.csv")
    assert done.returncode == 2
    assert f"{tmp_path / 'nowhere' / 'a.csv'}: No such file or directory" in done.stderr
    assert "[output-unwritable]" in done.stderr


def test_a_file_takes_its_place_only_when_it_is_whole(tmp_path: Path) -> None:
    target, link = tmp_path / "hc.csv", tmp_path / "link.csv"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        too_large = pytest.raises(OutputUnwritable, match=r"hc\.csv: File too large")
        with too_large, replacing(target) as file:
            file.write("new" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with pytest.raises(ZeroDivisionError), replacing(target) as file:
        file.write(f"half {1 / 0}")
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hc.csv", "link.csv"]

    with replacing(link) as file:
        file.write("new")
        assert target.read_text() == "old"
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_full_disk_is_named() -> None:
    with pytest.raises(DiskFull, match="/dev/full"), replacing(Path("/dev/full")) as file:
        file.write("rows")


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ('"$@" results >&-', 0, "rows; research use only"),
        ('"$@" results >&- 2>&-', 0, ""),
        ('"$@" results --out /dev/stdout --format csv | cat >/dev/null', 0, "rows in /dev/stdout"),
        ('"$@" results --format csv >/dev/full', 4, "disk-full"),
        (
            'ulimit -f 99; PYTHONUNBUFFERED=1 "$@" results --format csv >"$HC_DATA_DIR.csv"',
            4,
            "File too large",
        ),
        ('"$@" results >/dev/full', 4, "disk-full"),
        ('"$@" status >/dev/full', 4, "disk-full"),
        ('"$@" --help >/dev/full', 4, "disk-full"),
        ('"$@" results --out /dev/full --format json', 4, "disk-full"),
        ('"$@" results --format csv | head -n 1; exit ${PIPESTATUS[0]}', 141, ""),
        ('"$@" results | true; exit ${PIPESTATUS[0]}', 141, ""),
        ('"$@" --help | true; exit ${PIPESTATUS[0]}', 141, ""),
        ('"$@" nonsense 2>&1 | true; exit ${PIPESTATUS[0]}', 2, ""),
        ('"$@" nonsense 2>/dev/full', 2, ""),
        ('"$@" results nothing 2>/dev/full', 2, ""),
    ],
)
def test_each_standard_output_has_its_end(
    environment: dict[str, str], line: str, code: int, said: str
) -> None:
    done = shell(environment, line)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert said or not done.stderr
    assert "Traceback" not in done.stderr
    assert "please report" not in done.stderr


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    "locale", [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {}]
)
@pytest.mark.parametrize("form", ["table", "csv"])
def test_output_is_utf_8_whatever_the_locale(
    environment: dict[str, str], locale: dict[str, str], form: str
) -> None:
    odd = environment | {"PYTHONIOENCODING": "latin-1"} | locale
    done = hc_from_the_start(odd, "results", "--format", form)
    assert done.returncode == 0, done.stderr
    assert "\u732b00007.png" in done.stdout


@pytest.mark.parametrize("library", ["click", "worker.errors", "sqlalchemy"])
def test_ctrl_c_while_libraries_load_ends_in_silence(
    environment: dict[str, str], library: str
) -> None:
    words = [sys.executable, "-v", "-m", "cli.main", "results"]
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(f"import '{library}"):
                process.send_signal(signal.SIGINT)
                break
        said = process.stderr.read()
    assert process.returncode == 130, said[-2000:]
    assert "Traceback" not in said


def test_a_service_that_hangs_up_is_no_reader_of_ours() -> None:
    """Both are a broken pipe to the kernel: only standard output's ends like one."""
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, pytest.raises(ServiceUnavailable, match="Broken pipe"), commands.readers():
        ours.send(b"PING")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to mount")
@pytest.mark.parametrize("words", [["run", "."], ["worker"], ["view", "."], ["bench", "reading"]])
def test_a_machine_without_room_for_temporary_files(
    environment: dict[str, str], words: list[str]
) -> None:
    line = "for i in /tmp /var/tmp; do mount -t tmpfs -o ro none $i; done; cd /proc/$$/fdinfo; "
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        done = subprocess.run(
            ["unshare", "--mount", "bash", "-c", line + '"$@"', "bash", *COMMAND, *words],
            env=environment | {"HC_DATA_DIR": elsewhere, "HC_DATABASE_URL": ""},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 2, done.stderr
    assert "for temporary files: No usable temporary directory" in done.stderr
    assert "TMPDIR. [folder-unusable]" in done.stderr
