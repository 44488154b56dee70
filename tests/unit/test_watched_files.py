"""Files that come to rest, that the ledger knows, that move: without a watcher, by given clocks."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from worker.result import Status
from worker.store.finished_files import TakenFile
from worker.watching import move_finished, stability
from worker.watching.known_files import Standing, judge
from worker.watching.stability import Folder, Ready, Signature, WatchOptions, signature_of


def paths(found: list[Ready], top: Path) -> list[str]:
    return sorted(str(ready.path.relative_to(top)) for ready in found)


def looked(top: Path, recursive: bool = True, marker: str | None = None) -> list[str]:
    """All that has come to rest after two looks."""
    folder = Folder(top, 0.0, recursive, marker)
    assert folder.settled() == []
    return paths(folder.settled(), top)


def test_a_file_rests_for_the_settle_time_over_two_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    present_s = [50.0]
    monkeypatch.setattr(stability.time, "monotonic", lambda: present_s[0])
    (tmp_path / "b.png").write_bytes(b"1")
    folder = Folder(tmp_path, 2.0, recursive=True)
    assert folder.settled() == []
    present_s[0] = 51.999
    assert folder.settled() == []
    (tmp_path / "a.png").write_bytes(b"1")
    present_s[0] = 52.0
    (first,) = folder.settled()
    assert first.path == tmp_path / "b.png"
    assert folder.rest_s(first) == 2.0
    present_s[0] = 54.0
    second, again = folder.settled()
    assert (second.path, again) == (tmp_path / "a.png", first)
    folder.mark_taken({first: "one", second: "two"})
    assert folder.settled() == []
    assert folder.taken() == [(second, "two"), (first, "one")]
    assert (folder.rest_s(first), folder.rest_s(second)) == (4.0, 2.0)
    (tmp_path / "b.png").write_bytes(b"12")
    assert folder.settled() == []
    assert folder.taken() == [(second, "two")]
    present_s[0] = 56.0
    (changed,) = folder.settled()
    assert (changed.path, changed.signature.size) == (tmp_path / "b.png", 2)


def test_one_look_is_not_enough_however_short_the_settle_time(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"1")
    assert looked(tmp_path) == ["a.png"]


def test_what_is_passed_over(tmp_path: Path) -> None:
    kept = ["a.png", "done", "sub/a.partial", "sub/done/b.png", "sub/failed/c.png", "x~.png"]
    left = [".hidden.png", "a.PART", "b.tmp", "c.filepart", "~d.png", "failed/no-head/e.png"]
    for name in kept + left:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    assert looked(tmp_path) == kept
    assert looked(tmp_path, recursive=False) == ["a.png", "done", "x~.png"]
    (tmp_path / "done").unlink()
    (tmp_path / "done").symlink_to(tmp_path / "a.png")
    assert looked(tmp_path, recursive=False) == ["a.png", "x~.png"]


def test_a_marker_speaks_for_what_lies_below(tmp_path: Path) -> None:
    for name in ("a.png", "one/b.png", "one/in/c.png", "two/d.png", "two/in/e.png", "two/in/OK"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    assert looked(tmp_path, marker="OK") == ["two/in/e.png"]
    (tmp_path / "one" / "OK").touch()
    assert looked(tmp_path, marker="OK") == ["one/b.png", "one/in/c.png", "two/in/e.png"]
    (tmp_path / "OK").touch()
    assert len(looked(tmp_path, marker="OK")) == 5


def test_a_link_to_a_folder_is_not_entered(tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "a.png").write_bytes(b"1")
    (tmp_path / "in" / "link").symlink_to("sub")
    assert looked(tmp_path / "in") == ["link", "sub/a.png"]


def test_a_folder_that_cannot_be_listed_is_told_once_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_bytes(b"1")
    refused = {tmp_path / "one": errno.EACCES, tmp_path / "two": errno.EIO}
    real = os.scandir

    def scandir(folder: Path) -> object:
        if folder in refused:
            raise OSError(refused[folder], os.strerror(refused[folder]))
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    folder = Folder(tmp_path, 0.0, recursive=True)

    def told() -> list[str]:
        lines = sorted(record.getMessage() for record in caplog.records)
        caplog.clear()
        return lines

    assert folder.settled() == []
    denied = f"skipped: {tmp_path}/one cannot be listed: Permission denied"
    broken = f"skipped: {tmp_path}/two cannot be listed: Input/output error"
    assert told() == [denied, broken]
    assert paths(folder.settled(), tmp_path) == ["three/a.png"]
    assert told() == []
    del refused[tmp_path / "two"]
    refused[tmp_path / "one"] = errno.EIO
    folder.settled()
    assert told() == [broken.replace("two", "one")], "for another reason"
    del refused[tmp_path / "one"]
    folder.settled()
    refused[tmp_path / "two"] = errno.EIO
    folder.settled()
    assert told() == [broken], "it could be listed meanwhile"
    refused[tmp_path] = errno.EIO
    with pytest.raises(OSError, match="Input/output error"):
        folder.settled()


def test_a_folder_beside_an_image_is_no_sidecar(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"1")
    (tmp_path / "a.json").mkdir()
    (tmp_path / "b.dcm").write_bytes(b"1")
    (tmp_path / "b.json").write_text("{}")
    (tmp_path / "b.json.part").write_text("{}")
    folder = Folder(tmp_path, 0.0, recursive=True)
    folder.settled()
    seen = {ready.path.name: ready.sidecar for ready in folder.settled()}
    assert seen == {"a.png": None, "b.dcm": signature_of(tmp_path / "b.json")}


def test_a_version_tells_of_file_and_sidecar(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"123")
    status = path.stat()
    folder = Folder(tmp_path, 0.0, recursive=True)
    folder.settled()
    (alone,) = folder.settled()
    version = f"3:{status.st_mtime_ns}:{status.st_ino}:{status.st_ctime_ns}"
    assert (alone.version, alone.sidecar, alone.is_unchanged()) == (version, None, True)
    (tmp_path / "a.json").write_text("{}")
    folder.settled()
    (both,) = folder.settled()
    beside = (tmp_path / "a.json").stat()
    assert both.version == f"{version}:2:{beside.st_mtime_ns}"
    assert (both.path, both.is_unchanged()) == (path, True)
    path.write_bytes(b"1234")
    assert not both.is_unchanged()
    path.unlink()
    assert signature_of(path) is None
    path.symlink_to("nowhere")
    own = path.lstat()
    told = Signature(own.st_ino, own.st_size, own.st_mtime_ns, own.st_ctime_ns)
    assert signature_of(path) == told


def test_how_folders_are_watched_unless_told_otherwise() -> None:
    assert WatchOptions() == WatchOptions(5.0, None, False, None, False, 95.0)


NOW = "10:20:1:30"
CONTENT = b"content"
EQUAL, OTHER = hashlib.sha256(CONTENT).hexdigest(), hashlib.sha256(b"other").hexdigest()
QUEUED, RUNNING, MEASURED = Status.QUEUED, Status.RUNNING, Status.MEASURED
REJECTED, FAILED = Status.REJECTED, Status.FAILED


@pytest.mark.parametrize(
    ("then", "status", "sha256", "standing"),
    [
        *((NOW, status, None, "KNOWN") for status in Status),
        *((NOW, MEASURED, OTHER, "KNOWN"), ("10:20", MEASURED, None, "KNOWN")),
        *(("11:20:1:30", MEASURED, EQUAL, "NEW"), ("10:21:1:30", MEASURED, EQUAL, "NEW")),
        *(("10:20:2:30", MEASURED, EQUAL, "KNOWN"), ("10:20:1:31", MEASURED, EQUAL, "KNOWN")),
        *(("10:20:2:30", MEASURED, OTHER, "NEW"), ("10:20:1:31", REJECTED, OTHER, "NEW")),
        *(("10:20:2:30", MEASURED, None, "NEW"), ("10:20:2:30", QUEUED, None, "NEW")),
        *(("10:20:2:30", RUNNING, None, "NEW"), ("10:20:2:30", REJECTED, None, "CHANGED")),
        *(("10:20:1:31", FAILED, None, "CHANGED"), ("10:20:1:31", REJECTED, EQUAL, "KNOWN")),
        ("10:20:1:30:5:6", MEASURED, EQUAL, "KNOWN"),
    ],
)
def test_what_is_known_of_a_file(
    tmp_path: Path, then: str, status: Status, sha256: str | None, standing: str
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(CONTENT)
    ready = Ready(path, Signature(1, 10, 20, 30))
    assert ready.version == NOW
    verdict = judge(ready, [TakenFile(then, status, sha256)], [])
    assert verdict.standing is Standing[standing]
    assert verdict.version == (NOW if standing == "NEW" else then)
    assert judge(ready, [TakenFile(then, status, sha256)], [tmp_path]) == verdict
    assert judge(ready, [], []).standing is Standing.NEW


@pytest.mark.parametrize(
    ("then", "status", "sha256", "standing"),
    [
        *((NOW, status, None, "CHANGED") for status in (QUEUED, REJECTED, FAILED)),
        *((NOW, RUNNING, None, "BUSY"), (NOW, MEASURED, EQUAL, "NEW")),
        *((f"{NOW}:5:7", QUEUED, None, "CHANGED"), (f"{NOW}:4:6", RUNNING, None, "BUSY")),
        *((f"{NOW}:5:6", status, None, "KNOWN") for status in Status),
        ("10:20:1:31:5:6", RUNNING, None, "NEW"),
        ("10:20:1:31", RUNNING, EQUAL, "BUSY"),
    ],
)
def test_what_is_known_of_a_file_with_a_sidecar(
    tmp_path: Path, then: str, status: Status, sha256: str | None, standing: str
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(CONTENT)
    ready = Ready(path, Signature(1, 10, 20, 30), Signature(9, 5, 6, 8))
    assert ready.version == f"{NOW}:5:6"
    verdict = judge(ready, [TakenFile(then, status, sha256)], [])
    assert verdict.standing is Standing[standing]
    assert verdict.version == (ready.version if standing == "NEW" else then)


def test_the_newest_that_is_known_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    ready = Ready(path, Signature(1, 10, 20, 30))
    taken = [TakenFile("10:20", REJECTED, None), TakenFile(NOW, MEASURED, None)]
    taken.append(TakenFile("11:20:1:30", MEASURED, None))
    known = judge(ready, taken, [])
    assert (known.standing, known.version) == (Standing.KNOWN, NOW)
    path.write_bytes(CONTENT)
    touched = "10:20:2:30"
    taken = [TakenFile(touched, MEASURED, EQUAL), TakenFile("10:20:3:30", MEASURED, OTHER)]
    known = judge(ready, taken, [])
    assert (known.standing, known.version) == (Standing.KNOWN, touched)
    path.unlink()
    path.symlink_to("nowhere")
    taken.append(TakenFile("11:20:1:30", MEASURED, None))
    assert judge(ready, taken, []).version == "11:20:1:30"
    assert judge(ready, taken, []).standing is Standing.KNOWN
    assert judge(ready, [], []).standing is Standing.NEW


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """Descriptors of the folders ``from`` and ``to``; we are in neither."""
    monkeypatch.chdir(tmp_path)
    descriptors = []
    for name in ("from", "to"):
        (tmp_path / name).mkdir()
        descriptors.append(os.open(tmp_path / name, os.O_RDONLY))
    yield descriptors[0], descriptors[1]
    for descriptor in descriptors:
        os.close(descriptor)


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path, folders: tuple[int, int]) -> None:
    target = tmp_path / "to" / "a.b.png"
    for name in ("a.b.png", "a.b-2.png", "a.b-3.png"):
        assert move_finished._free(folders[1], target) == name
        (tmp_path / "to" / name).symlink_to("nowhere")


def rename_apart(monkeypatch: pytest.MonkeyPatch, number: int = errno.EXDEV) -> None:
    """Let two folders be on two file systems."""
    real = os.rename

    def rename(old: str, new: str, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        if src_dir_fd != dst_dir_fd:
            raise OSError(number, os.strerror(number))
        real(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    monkeypatch.setattr(os, "rename", rename)


def test_a_file_moves_to_another_file_system_as_a_copy(
    tmp_path: Path, folders: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rename_apart(monkeypatch)
    source = tmp_path / "from" / "a.png"
    source.write_bytes(CONTENT)
    source.chmod(0o615)
    os.utime(source, ns=(10**18, 10**18 + 7))
    real, partial_modes = shutil.copyfileobj, []

    def copy(original: BinaryIO, other: BinaryIO, *how: int) -> None:
        partial_modes.append(os.fstat(other.fileno()).st_mode & 0o777)
        real(original, other, *how)

    monkeypatch.setattr(shutil, "copyfileobj", copy)
    move_finished._rename(folders[0], "a.png", folders[1], "b.png")
    assert partial_modes == [0o600], "nobody else reads a part"
    status = (tmp_path / "to" / "b.png").stat()
    assert (tmp_path / "to" / "b.png").read_bytes() == CONTENT
    assert (status.st_mode & 0o777, status.st_mtime_ns) == (0o615, 10**18 + 7)
    assert os.listdir(tmp_path / "from") == []
    assert os.listdir(tmp_path / "to") == ["b.png"]


def test_a_copy_has_its_name_when_it_is_on_the_disk(
    tmp_path: Path, folders: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rename_apart(monkeypatch)
    (tmp_path / "from" / "a.png").write_bytes(CONTENT)
    at: list[tuple[bool, list[str], list[str]]] = []

    def fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        at.append((is_folder, os.listdir(tmp_path / "from"), os.listdir(tmp_path / "to")))
        if not is_folder:
            assert os.fstat(descriptor).st_size == len(CONTENT)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(move_finished.secrets, "token_hex", lambda count: "7" * count)
    move_finished._rename(folders[0], "a.png", folders[1], "b.png")
    partial = ".77777777.part"
    assert at == [(False, ["a.png"], [partial]), (True, ["a.png"], ["b.png"])]
    assert stability._is_temporary(partial)


def test_a_copy_is_never_written_through_a_link(
    tmp_path: Path, folders: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rename_apart(monkeypatch)
    (tmp_path / "from" / "a.png").write_bytes(CONTENT)
    monkeypatch.setattr(move_finished.secrets, "token_hex", lambda _: "7")
    (tmp_path / "to" / ".7.part").symlink_to(tmp_path / "outside")
    with pytest.raises(FileExistsError):
        move_finished._rename(folders[0], "a.png", folders[1], "a.png")
    assert not (tmp_path / "outside").exists()
    assert os.listdir(tmp_path / "from") == ["a.png"]


def refuse(_: int) -> None:
    raise OSError(errno.ENOSPC, "full")


def test_what_cannot_be_copied_stays(
    tmp_path: Path, folders: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "from" / "a.png").write_bytes(CONTENT)
    (tmp_path / "from" / "link.png").symlink_to("a.png")
    os.mkfifo(tmp_path / "from" / "pipe.png")
    rename_apart(monkeypatch, errno.EACCES)
    with pytest.raises(PermissionError):
        move_finished._rename(folders[0], "a.png", folders[1], "a.png")
    rename_apart(monkeypatch)
    for name, told in (("link.png", "levels of symbolic links"), ("pipe.png", "no regular file")):
        with pytest.raises(OSError, match=told):
            move_finished._rename(folders[0], name, folders[1], name)
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="full"):
        move_finished._rename(folders[0], "a.png", folders[1], "a.png")
    assert sorted(os.listdir(tmp_path / "from")) == ["a.png", "link.png", "pipe.png"]
    assert os.listdir(tmp_path / "to") == []


def test_whose_sidecar_it_is(tmp_path: Path, folders: tuple[int, int]) -> None:
    image, sidecar = tmp_path / "from" / "a.png", tmp_path / "from" / "a.json"
    image.touch()
    assert not move_finished._holds(folders[0], "a.json")
    sidecar.touch()
    assert move_finished._holds(folders[0], "a.json")
    assert not move_finished._is_shared(sidecar, image)
    (tmp_path / "from" / "b.dcm").touch()
    assert not move_finished._is_shared(sidecar, image)
    (tmp_path / "from" / "a.dcm").touch()
    assert move_finished._is_shared(sidecar, image)
    (tmp_path / "from" / "b.json").mkdir()
    assert not move_finished._holds(folders[0], "b.json")
    (tmp_path / "from" / "c.json").symlink_to("b.json")
    assert move_finished._holds(folders[0], "c.json"), "a link moves, whatever it leads to"


def test_a_refused_file_rests_fifteen_settle_times() -> None:
    assert move_finished.REFUSED_REST == 15
