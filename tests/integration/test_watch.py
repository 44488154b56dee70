"""The watched folder: files are taken when they rest, once, and also after a restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from worker.intake.discover import Options
from worker.intake.submit import Intake
from worker.settings import Settings
from worker.store.progress import latest_batches, skipped_files
from worker.store.rows import select_rows
from worker.store.session import Database
from worker.watching.stability import Folder, WatchOptions
from worker.watching.watch import watch

PNG = b"\x89PNG\r\n\x1a\n"
QUICK = WatchOptions(interval_s=0.1, settle_s=0.3)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


@contextmanager
def watching(settings: Settings, root: Path, how: WatchOptions = QUICK) -> Iterator[list[Intake]]:
    """A watcher in a thread; what it reports, as it comes."""
    stop = threading.Event()
    steps: list[Intake] = []
    failed: list[BaseException] = []

    def work() -> None:
        try:
            watch(settings, [root], Options(), how, stop, steps.append)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield steps
    finally:
        stop.set()
        thread.join()
        assert failed == []


def until(condition: Callable[[], bool], timeout_s: float = 90) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen in time"
        time.sleep(0.05)


def sources(database: Database) -> list[str]:
    return sorted(Path(row.source).name for row in select_rows(database))


@pytest.mark.parametrize("polling", [False, True])
def test_files_there_before_and_files_that_arrive(
    settings: Settings, database: Database, inbox: Path, polling: bool
) -> None:
    (inbox / "before.png").write_bytes(PNG)
    (inbox / "notes.txt").write_text("words")
    (inbox / "half.png.part").write_bytes(PNG)
    with watching(settings, inbox, WatchOptions(0.1, 0.3, polling)) as steps:
        until(lambda: sources(database) == ["before.png"])
        (inbox / "sub").mkdir()
        (inbox / "sub" / "after.png").write_bytes(PNG + b"1")
        (inbox / "half.png.part").rename(inbox / "half.png")
        until(lambda: sources(database) == ["after.png", "before.png", "half.png"])
        until(lambda: steps[-1].new == 3)
    (batch,) = latest_batches(database)
    assert (batch.kind, batch.label) == ("watch", str(inbox))
    assert [Path(skip.source).name for skip in skipped_files(database, batch.batch)] == [
        "notes.txt"
    ]


def test_a_file_that_is_written_slowly_is_taken_once_and_whole(
    settings: Settings, database: Database, inbox: Path
) -> None:
    with watching(settings, inbox), (inbox / "slow.png").open("wb", buffering=0) as file:
        for part in range(10):
            file.write(PNG + bytes([part]) * 1000)
            time.sleep(0.15)
            assert sources(database) == []
        until(lambda: sources(database) == ["slow.png"])
        time.sleep(0.5)
        assert sources(database) == ["slow.png"]


def test_a_restart_takes_nothing_twice_and_new_content_again(
    settings: Settings, database: Database, inbox: Path
) -> None:
    for name in ("a.png", "b.png"):
        (inbox / name).write_bytes(PNG)
    with watching(settings, inbox):
        until(lambda: len(sources(database)) == 2)
    with watching(settings, inbox) as steps:
        (inbox / "a.png").write_bytes(PNG + b"other content")
        until(lambda: sources(database) == ["a.png", "a.png", "b.png"])
        time.sleep(0.5)
        assert steps[-1].new == 1
    assert len(latest_batches(database)) == 1


def test_two_watchers_of_one_folder_do_no_harm(
    settings: Settings, database: Database, inbox: Path
) -> None:
    for number in range(20):
        (inbox / f"{number:02}.png").write_bytes(PNG + bytes([number]))
    with watching(settings, inbox) as one, watching(settings, inbox) as two:
        until(lambda: len(sources(database)) == 20)
        (inbox / "late.png").write_bytes(PNG)
        until(lambda: len(sources(database)) == 21)
        until(lambda: one[-1].new + two[-1].new == 21)
    assert len(sources(database)) == 21


def test_a_file_rests_only_after_two_looks_and_the_settle_time(inbox: Path) -> None:
    folder = Folder(inbox, settle_s=0.0, recursive=True)
    path = inbox / "a.png"
    path.write_bytes(PNG)
    assert folder.settled() == []
    path.write_bytes(PNG * 2)
    assert folder.settled() == []
    (ready,) = folder.settled()
    assert ready[0] == path
    assert folder.settled() == [ready]
    folder.mark_taken([ready])
    assert folder.settled() == []
    path.write_bytes(PNG * 3)
    assert folder.settled() == []
    assert [each for each, _ in folder.settled()] == [path]

    patient = Folder(inbox, settle_s=0.4, recursive=True)
    for _ in range(3):
        assert patient.settled() == []
    time.sleep(0.45)
    assert len(patient.settled()) == 1
