"""``submit`` of many files: constant memory, Ctrl-C, and the same again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from worker.sample_files import write_series
from worker.settings import Settings
from worker.store.progress import counts, latest_batches, skipped_files
from worker.store.session import open_database

COMMAND = Path(sys.executable).with_name("hc-batch")
FEW, MANY = 2_000, 20_000
ENOUGH = 8_000
"""To be interrupted among."""
LIMIT_S = 120


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_series(tmp_path_factory.mktemp("image"), 1, seed=1)[0]


def many(folder: Path, image: Path, count: int) -> Path:
    """One file under many names, and one that is no image."""
    folder.mkdir()
    for number in range(count):
        os.link(image, folder / f"{number:06}.dcm")
    (folder / "notes.txt").write_text("no image")
    return folder


def submitting(home: dict[str, str], folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [COMMAND, "submit", folder],
        env=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def peak_kib(process: subprocess.Popen[bytes]) -> int:
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
    return kept | {"HC_DATA_DIR": str(tmp_path / "data")}


def test_ten_times_the_files_take_the_same_memory(
    home: dict[str, str], tmp_path: Path, image: Path
) -> None:
    few = peak_kib(submitting(home, many(tmp_path / "few", image, FEW)))
    lots = peak_kib(submitting(home, many(tmp_path / "many", image, MANY)))
    assert lots - few < 20 * 1024


def test_interrupted_and_typed_again(home: dict[str, str], tmp_path: Path, image: Path) -> None:
    folder = many(tmp_path / "many", image, ENOUGH)
    first = submitting(home, folder)
    with open_database(Settings.from_environment(home)) as database:
        deadline_s = time.monotonic() + LIMIT_S
        while not sum(counts(database).values()):
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        first.send_signal(signal.SIGINT)
        assert first.wait(LIMIT_S) == 130
        assert 0 < sum(counts(database).values()) < ENOUGH
        assert submitting(home, folder).wait(LIMIT_S) == 0
        assert sum(counts(database).values()) == ENOUGH
        (batch,) = latest_batches(database)
        assert batch.intake_done
        assert [Path(each.source).name for each in skipped_files(database, batch.batch)] == [
            "notes.txt"
        ]
