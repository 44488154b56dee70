"""Watched folders: several roots, markers, moves, roots that vanish, disks that fill."""

from __future__ import annotations

import errno
import logging
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rig.waiting import until
from rig.watcher import PNG, QUICK, end, files, sources, watching
from worker.settings import Settings
from worker.store.progress import latest_batches, skipped_files
from worker.store.session import Database
from worker.watching.mounts import filesystem_of, is_network, on_network

MOVE = replace(QUICK, move=True)


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """What is tested here is the file system: one kind of database will do."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


def test_several_roots_have_a_batch_each(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    roots = [tmp_path / "one", tmp_path / "two"]
    for root in roots:
        root.mkdir()
        (root / f"{root.name}.png").write_bytes(PNG)
    with watching(settings, *roots):
        until(lambda: sources(database) == ["one.png", "two.png"])
        (roots[1] / "later.png").write_bytes(PNG)
        until(lambda: sources(database) == ["later.png", "one.png", "two.png"])
    assert {batch.label for batch in latest_batches(database)} == set(map(str, roots))


def test_a_folder_waits_for_its_marker(settings: Settings, database: Database, inbox: Path) -> None:
    (inbox / "loose.png").write_bytes(PNG)
    for exam in ("a", "b"):
        (inbox / exam / "series").mkdir(parents=True)
        (inbox / exam / "series" / f"{exam}.png").write_bytes(PNG)
    (inbox / "a" / "READY").touch()
    with watching(settings, inbox, how=replace(QUICK, marker="READY")):
        until(lambda: sources(database) == ["a.png"])
        time.sleep(0.6)
        assert sources(database) == ["a.png"]
        (inbox / "b" / "READY").touch()
        until(lambda: sources(database) == ["a.png", "b.png"])
    (batch,) = latest_batches(database)
    assert skipped_files(database, batch.batch) == []


def test_ended_files_move_and_are_never_taken_again(
    settings: Settings, database: Database, inbox: Path
) -> None:
    (inbox / "exam").mkdir()
    for name in ("good.png", "bad.png", "waits.png"):
        (inbox / "exam" / name).write_bytes(PNG + name.encode())
    (inbox / "exam" / "good.json").write_text('{"pixel_size_mm": 0.2}')
    moved = ["done/exam/good.json", "done/exam/good.png", "exam/waits.png"]
    with watching(settings, inbox, how=MOVE):
        until(lambda: len(sources(database)) == 3)
        end(database, "good.png")
        end(database, "bad.png", "no-head")
        until(lambda: files(inbox) == [*moved, "failed/no-head/exam/bad.png"])
        time.sleep(0.6)
        assert len(sources(database)) == 3
    with watching(settings, inbox):
        time.sleep(0.8)
        assert len(sources(database)) == 3


def test_a_name_that_comes_again_overwrites_nothing(
    settings: Settings, database: Database, inbox: Path
) -> None:
    with watching(settings, inbox, how=MOVE):
        for count in (1, 2):
            (inbox / "a.png").write_bytes(PNG * count)
            until(lambda count=count: len(sources(database)) == count)
            end(database, "a.png")
            until(lambda: not (inbox / "a.png").exists())
    assert (inbox / "done" / "a.png").read_bytes() == PNG
    assert (inbox / "done" / "a-2.png").read_bytes() == PNG * 2


def test_new_content_under_an_ended_name_stays_until_it_has_ended_too(
    settings: Settings, database: Database, inbox: Path
) -> None:
    with watching(settings, inbox):
        (inbox / "a.png").write_bytes(PNG)
        until(lambda: len(sources(database)) == 1)
    end(database, "a.png")
    (inbox / "a.png").write_bytes(PNG * 2)
    with watching(settings, inbox, how=MOVE):
        until(lambda: len(sources(database)) == 2)
        time.sleep(0.5)
        assert files(inbox) == ["a.png"]
        end(database, "a.png")
        until(lambda: files(inbox) == ["done/a.png"])


def test_two_watchers_that_move_lose_and_double_nothing(
    settings: Settings, database: Database, inbox: Path
) -> None:
    names = [f"{number:02}.png" for number in range(20)]
    for name in names:
        (inbox / name).write_bytes(PNG + name.encode())
    with watching(settings, inbox, how=MOVE), watching(settings, inbox, how=MOVE):
        until(lambda: sources(database) == names)
        for name in names:
            end(database, name)
        until(lambda: files(inbox) == [f"done/{name}" for name in names])
    assert sources(database) == names


def test_a_watcher_killed_while_it_moves_goes_on_after_a_restart(
    settings: Settings, environment: dict[str, str], database: Database, inbox: Path
) -> None:
    names = [f"{number:03}.png" for number in range(150)]
    for name in names:
        (inbox / name).write_bytes(PNG + name.encode())
    with watching(settings, inbox):
        until(lambda: len(sources(database)) == len(names))
    for name in names:
        end(database, name)
    watcher = subprocess.Popen(
        [
            *(sys.executable, "-m", "cli.main", "watch", str(inbox), "--after", "move"),
            *("--settle", "0", "--interval", "0.1"),
        ],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    until(lambda: (inbox / "done").exists())
    watcher.kill()
    watcher.wait()
    with watching(settings, inbox, how=MOVE):
        until(lambda: files(inbox) == [f"done/{name}" for name in names])
    assert sources(database) == names


def test_a_root_that_is_missing_vanishes_and_returns(
    settings: Settings, database: Database, inbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    away = inbox.with_name("away")
    inbox.rename(away)
    (away / "a.png").write_bytes(PNG)
    with watching(settings, inbox):
        until(lambda: f"waiting for {inbox}: No such file or directory" in caplog.text)
        away.rename(inbox)
        until(lambda: sources(database) == ["a.png"])
        inbox.rename(away)
        until(lambda: caplog.text.count("waiting for") == 2)
        (away / "b.png").write_bytes(PNG)
        away.rename(inbox)
        until(lambda: sources(database) == ["a.png", "b.png"])
    assert caplog.text.count(f"going on with {inbox}") == 2
    assert caplog.text.count("waiting for") == 2, "told once, not at each look"


def test_a_full_disk_pauses_and_says_so(
    settings: Settings, database: Database, inbox: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (inbox / "a.png").write_bytes(PNG)
    with watching(settings, inbox, how=replace(QUICK, max_disk_percent=0)):
        until(lambda: "paused: more than 0 %" in caplog.text)
        time.sleep(0.6)
        assert sources(database) == []
    assert caplog.text.count("paused") == 1
    with watching(settings, inbox):
        until(lambda: sources(database) == ["a.png"])


@pytest.mark.parametrize("number", [errno.EBUSY, errno.ESTALE])
def test_a_busy_file_is_waited_for(
    settings: Settings,
    database: Database,
    inbox: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    (inbox / "held.dcm").write_bytes(PNG)
    (inbox / "free.png").write_bytes(PNG)
    refusals = [OSError(number, os.strerror(number)) for _ in range(3)]
    real = os.open

    def busy(path: Any, *how: Any, **more: Any) -> int:
        if path == inbox / "held.dcm" and refusals:
            raise refusals.pop()
        return real(path, *how, **more)

    # As a network drive does; a local disk never would.
    monkeypatch.setattr(os, "open", busy)
    with watching(settings, inbox):
        until(lambda: sources(database) == ["free.png"])
        until(lambda: sources(database) == ["free.png", "held.dcm"])
    assert not refusals
    assert caplog.text.count("held.dcm, which is busy") == 1, "told once, not at each look"


MOUNTS = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:40 / /mnt/scans rw,relatime shared:5 - nfs4 server:/scans rw
31 22 0:41 / /mnt/with\040blank rw - cifs //server/share rw
32 22 0:42 / /mnt/sshfs rw - fuse.sshfs host: rw
33 30 0:43 / /mnt/scans/local rw - xfs /dev/vdb rw"""


@pytest.mark.parametrize(
    ("path", "filesystem", "network"),
    [
        ("/srv/incoming", "ext4", False),
        ("/mnt/scans/today", "nfs4", True),
        ("/mnt/scans2", "ext4", False),
        ("/mnt/scans/local/x", "xfs", False),
        ("/mnt/with blank/x", "cifs", True),
        ("/mnt/sshfs", "fuse.sshfs", True),
    ],
)
def test_network_drives_are_known_by_the_mount_table(
    path: str, filesystem: str, network: bool
) -> None:
    assert filesystem_of(Path(path), MOUNTS) == filesystem
    assert is_network(filesystem) is network


def test_the_mount_table_of_this_machine_is_understood(tmp_path: Path) -> None:
    if not os.path.exists("/proc/self/mountinfo"):
        pytest.skip("needs Linux")
    table = Path("/proc/self/mountinfo").read_text()
    assert filesystem_of(Path("/proc/self"), table) == "proc"
    assert not on_network(tmp_path)
