"""What an operator types, and what is answered: nothing to measure, batches, codes, sums."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.command import hc
from rig.ending import finish
from worker.intake.submit import submit
from worker.result import Result, Status
from worker.settings import Settings
from worker.store.claims import claim_next, give_back
from worker.store.session import Database

DAMAGED = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """What is tested here are the commands: one kind of database will do."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An image that is damaged, and two files that are none."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").write_bytes(DAMAGED)
    for name in ("b.txt", "c.txt"):
        (tmp_path / "in" / name).write_text("words")
    return tmp_path / "in"


@pytest.mark.parametrize("command", ["run", "submit", "inspect", "watch"])
@pytest.mark.parametrize("path", ["", " "])
def test_an_empty_path_is_a_mistake(environment: dict[str, str], command: str, path: str) -> None:
    done = hc(environment, command, path)
    assert done.returncode == 2
    assert "the path is empty" in done.stderr
    assert hc(environment, "status").stdout.endswith("all: nothing yet\n")


@pytest.mark.parametrize("command", ["run", "submit", "inspect"])
def test_a_folder_without_an_image_is_no_success(
    environment: dict[str, str], folder: Path, command: str
) -> None:
    (folder / "a.png").unlink()
    for expected in (folder, folder / "inner"):
        expected.mkdir(exist_ok=True)
        done = hc(environment, command, expected)
        assert done.returncode == 2
        assert f"There is no image in what was given: {expected}." in done.stderr
        assert "[nothing-to-measure]" in done.stderr


def test_run_sums_what_was_refused_and_skipped(environment: dict[str, str], folder: Path) -> None:
    done = hc(environment, "run", folder)
    assert done.returncode == 3, done.stderr
    assert "1 refused, file-damaged: The file is cut short or damaged. Export" in done.stderr
    assert "2 skipped, text: a text file" in done.stderr


def test_each_command_finds_a_batch_by_the_same_words(
    environment: dict[str, str], settings: Settings, database: Database, folder: Path
) -> None:
    batch = submit(settings, [folder]).batch
    for words in (["results", batch], ["results", "--batch", batch[:-2]], ["results", "last"]):
        assert "a.png" in hc(environment, *words).stdout
    for words in (["status", "last"], ["status", batch[:9]]):
        assert hc(environment, *words).stdout == f"{batch}: 1 queued, 2 skipped\n"
    assert f"1 scans of {batch} are cancelled" in hc(environment, "cancel", "last").stderr
    assert "1 scans are queued" in hc(environment, "requeue", batch[:-1]).stderr
    assert hc(environment, "results", batch, "--batch", batch).returncode == 2
    for words in (
        *(["results", "none"], ["results", "--batch", "none"], ["status", "none"]),
        *(["status", "none", "--follow"], ["cancel", "none"], ["requeue", "none"]),
    ):
        done = hc(environment, *words)
        assert done.returncode == 2
        assert "[batch-unknown]" in done.stderr
    done = hc(environment, "requeue", "last", "--code", "no-haed")
    assert done.returncode == 2
    assert "there is no code 'no-haed': no-head or" in done.stderr


def test_no_time_remains_while_no_worker_listens(
    environment: dict[str, str], settings: Settings, database: Database, folder: Path
) -> None:
    for number in range(4):
        (folder / f"d{number}.png").write_bytes(DAMAGED + bytes([number]))
    batch = submit(settings, [folder]).batch
    for claimed in claim_next(database, batch, "test", lease_s=60, limit=3):
        finish(database, claimed, Result(Status.MEASURED, "m"))
    done = hc(environment, "status", batch)
    assert done.stdout == f"{batch}: 3 measured, 2 queued, 2 skipped\n"
    assert "no worker listens" in done.stderr


def test_a_pixel_size_may_come_with_requeue(
    environment: dict[str, str], settings: Settings, database: Database, folder: Path
) -> None:
    """For the files of a table, or for all; what is not in the table keeps what it had."""
    (folder / "b.png").write_bytes(DAMAGED + b"b")
    batch = submit(settings, [folder]).batch
    table = folder.with_name("sizes.csv")
    table.write_text("filename;pixel size(mm)\nin/a.png;0,25\nelsewhere.png;0,5\n")

    def refused_then(*words: str | Path) -> list[tuple[float, float] | None]:
        for claimed in claim_next(database, batch, "test", lease_s=60, limit=9):
            finish(database, claimed, Result(Status.REJECTED, "m", code="spacing-unknown"))
        done = hc(environment, "requeue", "last", "--code", "spacing-unknown", *words)
        assert "2 scans are queued again" in done.stderr
        assert ("1 of 2 names are files here" in done.stderr) == (table in words)
        given = [claimed.manual for claimed in claim_next(database, batch, "t", lease_s=9, limit=9)]
        give_back(database, "t")
        return [size and (size.row_mm, size.column_mm) for size in given]

    assert refused_then("--pixel-sizes", table) == [(0.25, 0.25), None]
    assert refused_then("--pixel-size", "0.1,0.2") == [(0.1, 0.2)] * 2
    assert refused_then("--pixel-size", "0.3", "--pixel-sizes", table) == [(0.25, 0.25), (0.3, 0.3)]
    assert refused_then() == [(0.25, 0.25), (0.3, 0.3)]
    table.write_text("filename;size\n")
    done = hc(environment, "requeue", "last", "--pixel-sizes", table)
    assert done.returncode == 2
    assert "[pixel-sizes-invalid]" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["watch", ".", "--interval", "nan"],
        ["watch", ".", "--settle", "inf"],
        ["watch", ".", "--marker", "a/b"],
        ["watch", ".", "--marker", ""],
        ["watch", ".", "--max-disk-percent", "nan"],
        ["requeue", "--older-than", "nan"],
        ["submit", ".", "--wait", "--timeout", "nan"],
        ["results", "--limit", "99999999999999999999"],
        ["worker", "--concurrency", "99999999"],
        ["run", ".", "--pixel-size", "1e308"],
        ["run", ".", "--pixel-size", "200"],
    ],
)
def test_numbers_and_names_that_nothing_can_be_done_with(
    environment: dict[str, str], words: list[str]
) -> None:
    done = hc(environment, *words)
    assert done.returncode == 2
    assert f"Invalid value for '{words[-2]}'" in done.stderr
