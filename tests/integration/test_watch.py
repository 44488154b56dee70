"""The watched folder: files are taken when they rest, once, and also after a restart."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from rig.waiting import until
from rig.watcher import PNG, QUICK, sources, watching
from worker.settings import Settings
from worker.store.progress import latest_batches, skipped_files
from worker.store.session import Database
from worker.watching import stability
from worker.watching.stability import Folder


@pytest.mark.parametrize("polling", [False, True])
def test_files_there_before_and_files_that_arrive(
    settings: Settings, database: Database, inbox: Path, polling: bool
) -> None:
    (inbox / "before.png").write_bytes(PNG)
    (inbox / "notes.txt").write_text("words")
    (inbox / "half.png.part").write_bytes(PNG)
    with watching(settings, inbox, how=replace(QUICK, polling=polling)) as steps:
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


def test_a_file_rests_only_after_two_looks_and_the_settle_time(
    inbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(inbox, settle_s=0.0, recursive=True)
    path = inbox / "a.png"
    path.write_bytes(PNG)
    assert folder.settled() == []
    path.write_bytes(PNG * 2)
    assert folder.settled() == []
    (ready,) = folder.settled()
    assert ready.path == path
    assert folder.settled() == [ready]
    folder.mark_taken({ready: ready.version})
    assert folder.settled() == []
    path.write_bytes(PNG * 3)
    assert folder.settled() == []
    assert [each.path for each in folder.settled()] == [path]

    present_s = 1000.0
    monkeypatch.setattr(stability, "time", SimpleNamespace(monotonic=lambda: present_s))
    patient = Folder(inbox, settle_s=0.5, recursive=True)
    for _ in range(3):
        assert patient.settled() == []
    present_s += 0.25
    assert patient.settled() == []
    present_s += 0.25
    assert len(patient.settled()) == 1


def test_an_odd_name_stops_neither_the_others_nor_the_next_look(
    settings: Settings, database: Database, inbox: Path
) -> None:
    with open(os.fsencode(inbox) + b"/\xff.png", "wb") as file:
        file.write(PNG)
    (inbox / "far.png").symlink_to("x" * 3000)
    (inbox / "a.png").write_bytes(PNG)
    os.mkfifo(inbox / "a.json")
    for late in ("b.png", "c.png"):  # and after a restart
        with watching(settings, inbox, how=replace(QUICK, move=True)):
            (inbox / late).write_bytes(PNG)
            until(lambda name=late: name in sources(database))
    assert sources(database) == ["a.png", "b.png", "c.png", "far.png"]
    (batch,) = latest_batches(database)
    assert [skip.code for skip in skipped_files(database, batch.batch)] == ["name-not-text"]
