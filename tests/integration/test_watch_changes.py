"""Watched files that change, late sidecars, links in the way, disks apart: each seen and told."""

from __future__ import annotations

import logging
import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rig.waiting import until
from rig.watcher import PNG, QUICK, end, files, newest, sources, watching
from worker.errors import FoldersNested
from worker.result import Status
from worker.settings import Settings
from worker.store.session import Database
from worker.watching.watch import watch

MOVE = replace(QUICK, move=True)
SIDECAR = '{"pixel_size_mm": 0.2}'


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """What is tested here is the file system: one kind of database will do."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


def test_a_file_whose_writer_pauses_is_not_moved_and_read_again(
    settings: Settings, database: Database, inbox: Path
) -> None:
    """Open all the while: no rest, however long, makes it move."""
    with watching(settings, inbox, how=replace(MOVE, settle_s=0)):
        with (inbox / "slow.png").open("wb", buffering=0) as file:
            file.write(PNG)
            until(lambda: sources(database) == ["slow.png"])
            end(database, "slow.png", "file-damaged")
            time.sleep(1)
            assert files(inbox) == ["slow.png"]
            file.write(PNG)
        until(lambda: sources(database) == ["slow.png", "slow.png"])
        end(database, "slow.png")
        until(lambda: files(inbox) == ["done/slow.png"])


def test_a_refused_file_rests_before_it_is_moved(
    settings: Settings, database: Database, inbox: Path
) -> None:
    """Closed between two parts, as some exports do."""
    with watching(settings, inbox, how=MOVE):
        (inbox / "parts.png").write_bytes(PNG)
        until(lambda: sources(database) == ["parts.png"])
        end(database, "parts.png", "file-damaged")
        time.sleep(1)
        assert files(inbox) == ["parts.png"]
        until(lambda: files(inbox) == ["failed/file-damaged/parts.png"])


def rewrite(path: Path, content: bytes) -> None:
    """Another content of the same size and time."""
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_other_content_of_the_same_size_and_time_is_seen(
    settings: Settings, database: Database, inbox: Path
) -> None:
    (inbox / "a.png").write_bytes(PNG + b"1")
    with watching(settings, inbox):
        until(lambda: sources(database) == ["a.png"])
        end(database, "a.png")
        rewrite(inbox / "a.png", PNG + b"2")
        until(lambda: sources(database) == ["a.png"] * 2)
        end(database, "a.png")
    rewrite(inbox / "a.png", PNG + b"3")
    with watching(settings, inbox):
        until(lambda: sources(database) == ["a.png"] * 3)


def test_a_measured_file_that_was_only_touched_is_known(
    settings: Settings, database: Database, inbox: Path
) -> None:
    (inbox / "a.png").write_bytes(PNG)
    with watching(settings, inbox) as steps:
        until(lambda: sources(database) == ["a.png"])
        end(database, "a.png", content=PNG)
        (inbox / "a.png").chmod(0o600)
        (inbox / "b.png").write_bytes(PNG)
        until(lambda: steps[-1].new == 2)
        time.sleep(1)
    assert sources(database) == ["a.png", "b.png"]


def test_versions_of_an_earlier_release_are_known(
    settings: Settings, database: Database, inbox: Path
) -> None:
    path = inbox / "a.png"
    path.write_bytes(PNG)
    with watching(settings, inbox):
        until(lambda: sources(database) == ["a.png"])
    with database.writing() as connection:
        version = f"{path.stat().st_size}:{path.stat().st_mtime_ns}"
        connection.exec_driver_sql(f"UPDATE scans SET version = '{version}'")
    with watching(settings, inbox):
        time.sleep(1)
    assert sources(database) == ["a.png"]


@pytest.mark.parametrize("is_slow", [False, True])
def test_a_sidecar_that_comes_later_or_slowly_counts(
    settings: Settings, database: Database, inbox: Path, is_slow: bool
) -> None:
    (inbox / "a.png").write_bytes(PNG)
    with watching(settings, inbox):
        until(lambda: sources(database) == ["a.png"])
        end(database, "a.png", "spacing-unknown")
        with (inbox / "a.json").open("w", buffering=1) as sidecar:
            if is_slow:
                sidecar.write(SIDECAR[:1] + "\n")
                time.sleep(1)
            sidecar.write(SIDECAR[is_slow:])
        until(lambda: newest(database, "a.png").status == Status.QUEUED)
    assert sources(database) == ["a.png"], "in its own row"


def test_a_link_whose_target_was_moved_has_its_row_already(
    settings: Settings, database: Database, inbox: Path
) -> None:
    """It follows, and is no second file that is missing."""
    (inbox / "target.png").write_bytes(PNG)
    (inbox / "alias.png").symlink_to("target.png")
    with watching(settings, inbox, how=MOVE):
        until(lambda: sources(database) == ["alias.png", "target.png"])
        end(database, "target.png")
        until(lambda: not (inbox / "target.png").exists())
        time.sleep(1)  # for two looks and more at what leads nowhere
        end(database, "alias.png")
        until(lambda: files(inbox) == ["done/alias.png", "done/target.png"])
    assert sources(database) == ["alias.png", "target.png"]


def test_a_name_without_room_for_that_of_a_sidecar_is_moved(
    settings: Settings, database: Database, inbox: Path
) -> None:
    name = "n" * 255
    (inbox / name).write_bytes(PNG)
    with watching(settings, inbox, how=MOVE):
        until(lambda: sources(database) == [name])
        end(database, name)
        until(lambda: files(inbox) == [f"done/{name}"])


def test_a_refused_file_that_is_moved_back_is_tried_again(
    settings: Settings, database: Database, inbox: Path
) -> None:
    (inbox / "a.png").write_bytes(PNG)
    with watching(settings, inbox, how=replace(MOVE, settle_s=0)):
        until(lambda: sources(database) == ["a.png"])
        end(database, "a.png", "spacing-unknown")
        until(lambda: files(inbox) == ["failed/spacing-unknown/a.png"])
        (inbox / "failed" / "spacing-unknown" / "a.png").rename(inbox / "a.png")
        until(lambda: newest(database, "a.png").status == Status.QUEUED)
    assert sources(database) == ["a.png"], "in its own row"


@pytest.mark.parametrize("link", ["done", "failed", "failed/no-head", "failed/no-head/exam"])
def test_a_link_never_leads_a_file_out_of_the_root(
    settings: Settings,
    database: Database,
    inbox: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    link: str,
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (inbox / link).parent.mkdir(parents=True, exist_ok=True)
    (inbox / link).symlink_to(outside)
    (inbox / "exam").mkdir()
    names = ["authorized_keys.png", "second.png"]
    for name in names:
        (inbox / "exam" / name).write_bytes(PNG + name.encode())
    with watching(settings, inbox, how=replace(MOVE, settle_s=0)):
        until(lambda: sources(database) == names)
        for name in names:
            end(database, name, None if link == "done" else "no-head")
        until(lambda: "it is a link" in caplog.text)
        time.sleep(0.5)
    assert list(outside.iterdir()) == []
    assert sorted(os.listdir(inbox / "exam")) == names
    assert caplog.text.count("it is a link") == 1, "told once"


def test_a_folder_that_becomes_a_link_moves_nothing_from_outside(
    settings: Settings, database: Database, inbox: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    (inbox / "exam").mkdir()
    (inbox / "exam" / "a.png").write_bytes(PNG)
    with watching(settings, inbox):
        until(lambda: sources(database) == ["a.png"])
    (inbox / "exam").rename(outside)
    (inbox / "exam").symlink_to(outside)
    end(database, "a.png")
    with watching(settings, inbox, how=MOVE):
        time.sleep(1)
    assert files(outside) == ["a.png"]


@pytest.fixture
def other_disk(inbox: Path) -> Iterator[Path]:
    """``done/`` on a disk of its own, where this machine lets us have one."""
    done = inbox / "done"
    done.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", done]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield done
    subprocess.run(["umount", "--lazy", done], check=True)


def test_another_file_system_takes_ended_files(
    settings: Settings, database: Database, inbox: Path, other_disk: Path
) -> None:
    (inbox / "a.png").write_bytes(PNG)
    (inbox / "a.png").chmod(0o640)
    (inbox / "a.json").write_text(SIDECAR)
    before = (inbox / "a.png").stat()
    with watching(settings, inbox, how=MOVE):
        until(lambda: sources(database) == ["a.png"])
        end(database, "a.png")
        until(lambda: files(inbox) == ["done/a.json", "done/a.png"])
    after = (other_disk / "a.png").stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


def test_another_file_system_that_is_full_is_told_once(
    settings: Settings,
    database: Database,
    inbox: Path,
    other_disk: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    names = ["a.png", "b.png"]
    for name in names:
        (inbox / name).write_bytes(PNG + bytes(2 << 20) + name.encode())
    with watching(settings, inbox, how=MOVE):
        until(lambda: sources(database) == names)
        for name in names:
            end(database, name)
        until(lambda: "No space left on device" in caplog.text)
        time.sleep(0.5)
    assert files(inbox) == names
    assert caplog.text.count("No space left on device") == 1


def test_nested_folders_are_refused(settings: Settings, inbox: Path, tmp_path: Path) -> None:
    (inbox / "inner").mkdir()
    link = tmp_path / "link"
    link.symlink_to(inbox)
    for roots in ((inbox, inbox / "inner"), (inbox / "inner", inbox), (inbox, link)):
        with pytest.raises(FoldersNested):
            watch(settings, roots)


def test_every_take_and_every_skip_is_a_line(
    settings: Settings,
    database: Database,
    inbox: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    (inbox / "a.png").write_bytes(PNG)
    (inbox / "notes.txt").write_text("words")
    os.mkfifo(inbox / "pipe.png")
    (inbox / "nowhere").symlink_to("nothing")
    (Path(os.fsdecode(os.fsencode(inbox) + b"/\xff.png"))).write_bytes(PNG)
    with watching(settings, inbox):
        until(lambda: sources(database) == ["a.png"])
        time.sleep(0.5)
    assert caplog.text.count(f"taken: {inbox}/a.png") == 1
    for name in ("notes.txt", "pipe.png", "nowhere"):
        assert caplog.text.count(f"skipped: {inbox}/{name}: ") == 1
    assert caplog.text.count("a name that is not UTF-8") == 1
