"""One watched root, look by look: clocks are moved by hand, the ledger is real, nobody listens."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
from sqlalchemy import select

from rig.clocked import BEGUN, ClockedLedger
from rig.ending import finish
from worker.errors import BrokerUnreachable, DatabaseUnreachable, PathOutsideRoots
from worker.intake.discover import Options
from worker.intake.submit import Intake
from worker.queue.publisher import Publisher
from worker.reading import FramePolicy
from worker.result import FileIdentity, Result, Status
from worker.roots import Roots
from worker.settings import Settings
from worker.store.batches import NewScan, insert_scans
from worker.store.claims import claim
from worker.store.tables import BatchRow, ScanRow, SkippedFileRow
from worker.watching import move_finished, stability, watched_folder
from worker.watching.stability import WatchOptions
from worker.watching.watched_folder import Inbox

PNG = b"\x89PNG\r\n\x1a\n"
SETTLE_S = 2.0
MOVE = WatchOptions(settle_s=SETTLE_S, move=True)


class Sent:
    """Stands for the way to the broker: what was sent, until it refuses."""

    def __init__(self) -> None:
        self.ids: list[list[int]] = []
        self.refusal: BrokerUnreachable | None = None

    def publish(self, scan_ids: Sequence[int]) -> None:
        """Keep the ids, or refuse."""
        if self.refusal is not None:
            raise self.refusal
        self.ids.append(list(scan_ids))


class Watched:
    """A folder ``in``, its inbox, and a clock of this process."""

    def __init__(
        self, ledger: ClockedLedger, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.ledger = ledger
        self.root = tmp_path / "in"
        self.root.mkdir()
        self.settings = Settings.from_environment({"HC_DATA_DIR": str(tmp_path / "data")})
        self.sent = Sent()
        self.steps: list[Intake] = []
        self.stop = threading.Event()
        self.present_s = 1000.0
        self.told: Callable[[Intake], None] = self.steps.append
        self._caplog = caplog
        self.open()

    def open(
        self,
        how: WatchOptions = WatchOptions(),  # noqa: B008 - frozen
        options: Options = Options(),  # noqa: B008 - frozen
        root: Path | None = None,
    ) -> None:
        """Begin anew, as after a restart."""
        self.inbox = Inbox(
            self.ledger,
            cast(Publisher, self.sent),
            self.settings,
            root or self.root,
            options,
            how,
            lambda intake: self.told(intake),
        )

    def look(self, after_s: float = 0.0) -> list[str]:
        """Look once; return the files that have rows, a name for each row."""
        self.present_s += after_s
        self.inbox.look(self.stop)
        return self.rows()

    def rest(self) -> list[str]:
        """Look, and again after the settle time."""
        self.look()
        return self.look(SETTLE_S)

    def put(self, *names: str, content: bytes = PNG) -> Path:
        """Write files of this content; return the last one's path."""
        for name in names:
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return path

    def rows(self) -> list[str]:
        """Names below the root of all that has rows, in the order in which it was taken."""
        return [os.path.relpath(source, self.root) for _, source in self._scans()]

    def _scans(self) -> list[Any]:
        return self.ledger.values(ScanRow.id, ScanRow.source)

    def ids(self, name: str) -> list[int]:
        """Ids of the scans of a file."""
        return [number for number, source in self._scans() if source == str(self.root / name)]

    def state(self, name: str) -> str:
        """State of a file's newest scan."""
        return str(self.ledger.scan(self.ids(name)[-1]).state)

    def end(self, name: str, code: str | None = None, content: bytes | None = None) -> None:
        """End a file's newest scan as a worker does: measured, or refused with a code."""
        (claimed,) = claim(self.ledger, self.ids(name)[-1:], "a", lease_s=60)
        status = Status.REJECTED if code else Status.MEASURED
        # Of another content than all others, unless it is told.
        read = repr(claimed).encode() if content is None else content
        sha256 = None if code else hashlib.sha256(read).hexdigest()
        result = Result(status, "m", code=code, file=FileIdentity(sha256=sha256))
        assert finish(self.ledger, claimed, result) is status

    def files(self) -> list[str]:
        """All files below the root."""
        found = (path for path in self.root.rglob("*") if not path.is_dir())
        return sorted(str(path.relative_to(self.root)) for path in found)

    def lines(self) -> list[str]:
        """Log lines since the last call, with their level."""
        lines = [
            f"{record.levelname} {record.getMessage().replace(str(self.root), 'ROOT')}"
            for record in self._caplog.records
            if record.name.startswith("worker.watching")
        ]
        self._caplog.clear()
        return lines


@pytest.fixture
def watched(
    ledger: ClockedLedger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Watched:
    """An empty folder on a local disk with room, watched with what is set by default."""
    caplog.set_level(logging.INFO)
    watched = Watched(ledger, tmp_path, caplog)
    monkeypatch.setattr(stability.time, "monotonic", lambda: watched.present_s)
    monkeypatch.setattr(watched_folder, "on_network", lambda _: False)
    monkeypatch.setattr(watched_folder.shutil, "disk_usage", lambda _: Usage(100, 0, 100))
    return watched


class Usage(NamedTuple):
    """What a disk says of itself; a part of it may be kept for the system."""

    total: int
    used: int
    free: int


def batch_of(watched: Watched) -> str:
    (batch,) = watched.ledger.values(BatchRow.id)
    return str(batch[0])


def test_a_file_that_rests_is_taken_once_and_sent(watched: Watched) -> None:
    batch = batch_of(watched)
    assert watched.steps == [Intake(batch)]
    path = watched.put("b.png")
    watched.put("notes.txt", content=b"words")
    assert watched.look() == []
    assert watched.look(1.999) == []
    assert watched.steps == [Intake(batch)]
    watched.put("sub/a.png")
    assert watched.look(0.001) == ["b.png"]
    assert watched.steps[1:] == [Intake(batch, found=1, new=1, skipped=1)]
    assert watched.look(2.0) == ["b.png", "sub/a.png"]
    assert watched.look(2.0) == ["b.png", "sub/a.png"]
    assert watched.steps[2:] == [Intake(batch, found=2, new=2, skipped=1)]
    assert watched.sent.ids == [watched.ids("b.png"), watched.ids("sub/a.png")]
    assert watched.ledger.values(ScanRow.published_at) == [(BEGUN,), (BEGUN,)]
    status = path.stat()
    version = f"8:{status.st_mtime_ns}:{status.st_ino}:{status.st_ctime_ns}"
    assert watched.ledger.scan(watched.ids("b.png")[0]).version == version
    skips = watched.ledger.values(SkippedFileRow.id, SkippedFileRow.source)
    assert [source for _, source in skips] == [str(watched.root / "notes.txt")]
    first, second, third = watched.lines()
    assert first == "INFO taken: ROOT/b.png, frames: 1"
    assert second.startswith("INFO skipped: ROOT/notes.txt: ")
    assert third == "INFO taken: ROOT/sub/a.png, frames: 1"


def test_a_root_has_one_batch_whatever_its_end(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = (BatchRow.id, BatchRow.kind, BatchRow.label, BatchRow.request_key)
    root = str(watched.root)
    expected = [(batch_of(watched), "watch", root, root, BEGUN)]
    assert watched.ledger.values(*columns, BatchRow.intake_done_at) == expected
    watched.put("a.png")
    watched.open(WatchOptions(settle_s=0.0))
    watched.look()
    assert watched.look() == ["a.png"]
    monkeypatch.chdir(watched.root.parent)
    watched.open(WatchOptions(settle_s=0.0), root=Path("in"))
    assert watched.inbox.root == watched.root
    watched.look()
    assert watched.look() == ["a.png"]
    assert watched.ledger.values(*columns, BatchRow.intake_done_at) == expected
    assert watched.steps[-1] == Intake(batch_of(watched))


def test_what_a_person_says_of_files_holds_for_those_that_arrive(watched: Watched) -> None:
    watched.put("a.png", "sub/b.png")
    watched.open(MOVE, Options(recursive=False, frames=FramePolicy("first"), any_plane=True))
    assert watched.rest() == ["a.png"]
    assert watched.ledger.values(ScanRow.any_plane) == [(True,)]
    watched.open(MOVE)
    assert watched.rest() == ["a.png", "sub/b.png"]


def test_a_marker_is_waited_for(watched: Watched) -> None:
    watched.put("one/a.png", "two/b.png", "two/READY")
    watched.open(WatchOptions(settle_s=SETTLE_S, marker="READY"))
    assert watched.rest() == ["two/b.png"]


def test_roots_have_names_in_the_ledger(watched: Watched) -> None:
    outside = watched.root.with_name("other")
    watched.settings = replace(watched.settings, data_roots=Roots({"scans": watched.root.parent}))
    watched.open()
    watched.put("a.png")
    watched.rest()
    assert watched.ledger.values(ScanRow.source) == [("scans:in/a.png",)]
    watched.settings = replace(watched.settings, data_roots=Roots({"scans": outside}))
    with pytest.raises(PathOutsideRoots):
        watched.open()


@pytest.mark.parametrize(
    ("given_s", "is_polling", "is_network", "settle_s"),
    [
        *((None, False, False, 2.0), (None, True, False, 10.0), (None, False, True, 10.0)),
        *((0.5, False, True, 0.5), (0.5, True, False, 0.5), (3.0, False, False, 3.0)),
    ],
)
def test_for_how_long_a_file_rests(
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
    given_s: float | None,
    is_polling: bool,
    is_network: bool,
    settle_s: float,
) -> None:
    monkeypatch.setattr(
        watched_folder, "on_network", lambda path: path == watched.root and is_network
    )
    watched.open(WatchOptions(settle_s=given_s, polling=is_polling))
    watched.put("a.png")
    watched.look()
    assert watched.look(settle_s - 0.125) == []
    assert watched.look(0.125) == ["a.png"]


def test_files_are_taken_in_parts(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    assert watched_folder._PART_FILES == 500
    monkeypatch.setattr(watched_folder, "_PART_FILES", 2)
    watched.put(*(f"{number}.png" for number in range(5)))
    batch = batch_of(watched)
    assert watched.rest() == ["0.png", "1.png", "2.png", "3.png", "4.png"]
    assert watched.steps == [Intake(batch, count, count) for count in (0, 2, 4, 5)]
    assert [len(ids) for ids in watched.sent.ids] == [2, 2, 1]


def test_a_large_folder_is_left_in_its_middle(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched_folder, "_PART_FILES", 2)
    names = [f"{number}.png" for number in range(5)]
    watched.put(*names)
    watched.told = lambda intake: watched.stop.set() if intake.new == 2 else None
    assert watched.rest() == names[:2]
    assert watched.look(SETTLE_S) == names[:2]
    watched.stop.clear()
    assert watched.look() == names


def test_a_move_is_left_in_its_middle(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_folder, "_PART_FILES", 2)
    watched.open(MOVE)
    names = [f"{number}.png" for number in range(5)]
    watched.put(*names)
    watched.rest()
    for name in names:
        watched.end(name)
    watched.stop.set()
    watched.look()
    assert watched.files() == names
    watched.stop.clear()
    monkeypatch.setattr(move_finished.failpoint, "hit", lambda _: watched.stop.set())
    watched.look()
    assert watched.files() == ["2.png", "3.png", "4.png", "done/0.png", "done/1.png"]


def test_a_root_that_goes_away_is_waited_for_and_looked_at_anew(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = watched.root.with_name("away")
    watched.put("a.png")
    assert watched.rest() == ["a.png"]
    watched.lines()
    watched.root.rename(away)
    for _ in range(2):
        assert watched.look(60.0) == ["a.png"]
    assert watched.lines() == ["WARNING waiting for ROOT: No such file or directory"]
    away.rename(watched.root)
    watched.put("b.png")
    monkeypatch.setattr(watched_folder, "on_network", lambda _: True)  # another drive is there now
    assert watched.look() == ["a.png"]
    assert watched.lines() == ["INFO going on with ROOT"]
    assert watched.look(9.875) == ["a.png"]
    assert watched.look(0.125) == ["a.png", "b.png"]
    assert watched.lines() == ["INFO taken: ROOT/b.png, frames: 1"]
    assert watched.steps[-1] == Intake(batch_of(watched), found=2, new=2)


def test_a_root_may_come_after_its_watcher(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = watched.root.with_name("late")
    watched.open(root=root)
    watched.look()
    assert watched.lines() == [f"WARNING waiting for {root}: No such file or directory"]
    monkeypatch.setattr(watched_folder, "on_network", Path.exists)  # a drive that is mounted now
    root.mkdir()
    (root / "a.png").write_bytes(PNG)
    watched.look()
    assert watched.look(9.875) == []
    assert len(watched.look(0.125)) == 1


@pytest.mark.parametrize("which", ["root", "data"])
def test_nothing_is_taken_while_a_disk_is_full(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    data = watched.settings.data_dir
    usage = {watched.root: Usage(400, 75, 25), data: Usage(400, 75, 25)}
    monkeypatch.setattr(watched_folder.shutil, "disk_usage", usage.__getitem__)
    watched.open(WatchOptions(settle_s=SETTLE_S, max_disk_percent=75.0))
    data.mkdir()
    watched.put("a.png")
    assert watched.rest() == ["a.png"]
    assert watched.lines() == ["INFO taken: ROOT/a.png, frames: 1"]
    full = watched.root if which == "root" else data
    usage[full] = Usage(400_000, 75_001, 24_999)
    watched.put("b.png")
    watched.rest()
    assert watched.look(60.0) == ["a.png"]
    shown = str(full).replace(str(watched.root), "ROOT")
    assert watched.lines() == [f"WARNING paused: more than 75 % of {shown} are used"]
    usage[full] = Usage(400, 75, 25)
    assert watched.look() == ["a.png", "b.png"]
    assert watched.lines() == ["INFO going on with ROOT", "INFO taken: ROOT/b.png, frames: 1"]


def test_a_folder_that_is_not_there_fills_no_disk(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def usage(folder: Path) -> Usage:
        asked.append(folder)
        return Usage(100, 94, 6)

    monkeypatch.setattr(watched_folder.shutil, "disk_usage", usage)
    watched.look()
    assert asked == [watched.root]
    watched.settings.data_dir.mkdir()
    watched.look()
    assert asked[1:] == [watched.root, watched.settings.data_dir]


def test_ended_files_move_off_a_full_disk(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.open(MOVE)
    watched.put("a.png")
    watched.rest()
    watched.end("a.png")
    monkeypatch.setattr(watched_folder.shutil, "disk_usage", lambda _: Usage(100, 96, 4))
    watched.look()
    assert watched.files() == ["done/a.png"]


def refuse_to_open(monkeypatch: pytest.MonkeyPatch, path: Path, numbers: list[int]) -> None:
    """Let the file's server answer with these errors, one after the other."""
    real = os.open

    def busy(name: Any, *how: Any, **more: Any) -> int:
        if name == path and numbers:
            number = numbers.pop(0)
            raise OSError(number, os.strerror(number))
        return real(name, *how, **more)

    monkeypatch.setattr(os, "open", busy)


@pytest.mark.parametrize("number", [errno.EBUSY, errno.ESTALE])
def test_a_busy_file_is_waited_for_alone(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    held = watched.put("free.png", "held.png")
    numbers = [number] * 2
    refuse_to_open(monkeypatch, held, numbers)
    assert watched.rest() == ["free.png"]
    assert watched.look() == ["free.png"]
    assert watched.look() == ["free.png", "held.png"]
    taken = [f"INFO taken: ROOT/{name}, frames: 1" for name in ("free.png", "held.png")]
    waiting = "WARNING waiting for ROOT/held.png, which is busy"
    assert watched.lines() == [waiting, *taken]
    numbers.append(number)
    watched.put("held.png", content=PNG * 2)
    watched.rest()
    assert watched.lines() == [waiting], "told anew, since it was free meanwhile"
    assert watched.look() == ["free.png", "held.png", "held.png"]


def test_what_is_busy(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    path = watched.put("a.png")
    link, pipe, gone = (watched.root / name for name in ("link.png", "pipe.png", "gone.png"))
    link.symlink_to("a.png")
    os.mkfifo(pipe)
    assert not watched_folder._is_busy(path)
    for number in (errno.EACCES, errno.ENOENT):
        refuse_to_open(monkeypatch, path, [number])
        assert not watched_folder._is_busy(path)
    for other in (link, pipe, gone):
        unasked = [errno.EBUSY]
        refuse_to_open(monkeypatch, other, unasked)
        assert not watched_folder._is_busy(other)
        assert unasked == [errno.EBUSY]


def test_new_content_has_a_row_of_its_own(watched: Watched) -> None:
    watched.put("a.png")
    watched.rest()
    watched.end("a.png")
    watched.put("a.png", content=PNG + b"1")
    assert watched.rest() == ["a.png", "a.png"]
    assert [watched.ledger.scan(each).state for each in watched.ids("a.png")] == [
        *("measured", "queued")
    ]


def test_what_was_refused_is_tried_again_when_it_has_changed(watched: Watched) -> None:
    path = watched.put("a.png")
    watched.rest()
    watched.end("a.png", "spacing-unknown")
    watched.lines()
    batch = batch_of(watched)
    watched.put("a.json", content=b"{}")
    assert watched.rest() == ["a.png"]
    assert watched.state("a.png") == "queued"
    status, beside = path.stat(), path.with_suffix(".json").stat()
    version = f"8:{status.st_mtime_ns}:{status.st_ino}:{status.st_ctime_ns}:2:{beside.st_mtime_ns}"
    assert watched.ledger.scan(watched.ids("a.png")[0]).version == version
    assert watched.lines() == ["INFO again: ROOT/a.png, which has changed"]
    assert watched.steps[-1] == Intake(batch, found=1, new=1)
    assert watched.sent.ids[1:] == [[]], "a worker finds it in the ledger"
    watched.end("a.png", "spacing-unknown")
    watched.look(60.0)
    assert watched.state("a.png") == "rejected"
    watched.open(MOVE)
    watched.look()
    watched.look(2.0)
    assert watched.lines() == []
    watched.look(28.0)
    moved = [f"failed/spacing-unknown/{name}" for name in ("a.json", "a.png")]
    assert watched.files() == moved
    assert watched.state("a.png") == "rejected"


def test_a_file_that_is_tried_again_moves_when_it_has_ended(watched: Watched) -> None:
    """Its version, under which the ledger has it, is the new one."""
    watched.open(MOVE)
    watched.put("a.png")
    watched.rest()
    watched.end("a.png", "spacing-unknown")
    watched.put("a.json", content=b"{}")
    watched.rest()
    watched.look(60.0)
    assert watched.files() == ["a.json", "a.png"]
    watched.end("a.png")
    watched.look()
    assert watched.files() == ["done/a.json", "done/a.png"]


def test_what_is_at_work_is_asked_about_until_it_has_ended(watched: Watched) -> None:
    watched.put("a.png")
    watched.rest()
    (claimed,) = claim(watched.ledger, watched.ids("a.png"), "a", lease_s=60)
    watched.put("a.json", content=b"{}")
    watched.put("b.png")
    for _ in range(2):
        assert watched.rest() == ["a.png", "b.png"]
        assert watched.state("a.png") == "running"
    finish(watched.ledger, claimed, Result(Status.REJECTED, "m", code="spacing-unknown"))
    watched.look()
    assert watched.state("a.png") == "queued"


def test_a_file_that_was_only_touched_moves_under_its_old_version(watched: Watched) -> None:
    path = watched.put("a.png")
    watched.open(MOVE)
    watched.rest()
    version = watched.ledger.scan(watched.ids("a.png")[0]).version
    watched.end("a.png", content=PNG)
    path.chmod(0o600)
    assert watched.look() == ["a.png"]
    assert watched.files() == ["a.png"]
    assert watched.look(SETTLE_S) == ["a.png"]
    assert watched.files() == ["done/a.png"]
    assert watched.ledger.scan(watched.ids("a.png")[0]).version == version


def test_a_name_that_no_row_can_bear_stops_nothing(watched: Watched) -> None:
    watched.open(MOVE)
    watched.put("a.png")
    with open(os.fsencode(watched.root) + b"/\xff.png", "wb") as file:
        file.write(PNG)
    assert watched.rest() == ["a.png"]
    assert watched.ledger.values(SkippedFileRow.code) == [("name-not-text",)]
    watched.end("a.png")
    watched.look()
    assert "done/a.png" in watched.files()
    assert len(watched.files()) == 2


def test_a_broker_out_of_reach_is_told_once(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watched_folder, "_PART_FILES", 1)
    watched.sent.refusal = BrokerUnreachable("no answer")
    watched.put("a.png", "b.png")
    assert watched.rest() == ["a.png", "b.png"]
    watched.put("c.png")
    watched.rest()
    told = [line for line in watched.lines() if "taken" not in line]
    assert told == [f"WARNING {watched.sent.refusal}"]
    watched.sent.refusal = None
    watched.put("d.png")
    watched.rest()
    assert watched.lines() == [
        *("INFO taken: ROOT/d.png, frames: 1", "INFO ROOT: the broker is there again")
    ]
    assert watched.sent.ids == [watched.ids("d.png")]


def test_a_ledger_out_of_reach_is_told_once_and_loses_nothing(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = DatabaseUnreachable("no answer")

    def refuse(*_: object) -> None:
        raise refusal

    watched.open(MOVE)
    watched.put("a.png")
    with monkeypatch.context() as outage:
        outage.setattr(watched_folder, "taken_files", refuse)
        watched.rest()
        assert watched.look() == []
    assert watched.lines() == [f"WARNING {refusal}"]
    assert watched.look() == ["a.png"]
    again = "INFO ROOT: the service is there again"
    assert watched.lines() == ["INFO taken: ROOT/a.png, frames: 1", again]
    watched.end("a.png")
    with monkeypatch.context() as outage:
        outage.setattr(move_finished, "endings", refuse)
        watched.look()
    assert (watched.lines(), watched.files()) == ([f"WARNING {refusal}"], ["a.png"])
    watched.look()
    assert watched.lines() == ["INFO moved: ROOT/a.png to ROOT/done/a.png", again]


def test_files_stay_unless_they_are_to_move(watched: Watched) -> None:
    watched.put("a.png")
    watched.rest()
    watched.end("a.png")
    watched.look(60.0)
    assert watched.files() == ["a.png"]


def test_where_ended_files_go(watched: Watched) -> None:
    watched.open(MOVE)
    watched.put("good.png", "sub/in/good.png", "bad.png", "sub/worse.png", "waits.png")
    watched.rest()
    for name, code in (("bad.png", "no-head"), ("sub/worse.png", "too-large")):
        watched.end(name, code)
    for name in ("good.png", "sub/in/good.png"):
        watched.end(name)
    watched.lines()
    watched.look()
    stay = ["bad.png", "done/good.png", "done/sub/in/good.png", "sub/worse.png", "waits.png"]
    assert watched.files() == stay
    assert watched.lines() == [
        "INFO moved: ROOT/good.png to ROOT/done/good.png",
        "INFO moved: ROOT/sub/in/good.png to ROOT/done/sub/in/good.png",
    ]
    watched.look(27.875)
    assert watched.files() == stay
    assert watched.lines() == []
    watched.look(0.125)
    assert watched.files() == [
        *("done/good.png", "done/sub/in/good.png"),
        *("failed/no-head/bad.png", "failed/too-large/sub/worse.png", "waits.png"),
    ]
    assert len(watched.look(60.0)) == 5, "what has moved is never taken again"


def test_a_file_with_a_frame_at_work_stays(watched: Watched) -> None:
    watched.open(MOVE)
    watched.put("a.png")
    watched.rest()
    (first,) = watched.ids("a.png")
    row = watched.ledger.scan(first)
    more = NewScan(row.source, frame=1, version=row.version)
    insert_scans(watched.ledger, row.batch_id, [more], published=True)
    watched.end("a.png")
    watched.look()
    assert watched.files() == ["a.png"]
    (claimed,) = claim(watched.ledger, [first], "a", lease_s=60)
    finish(watched.ledger, claimed, Result(Status.REJECTED, "m", code="no-head"))
    watched.look()
    assert watched.files() == ["a.png"], "refused in one of its frames"
    watched.look(30.0)
    assert watched.files() == ["failed/no-head/a.png"]


def test_new_content_stays_until_it_has_ended_too(watched: Watched) -> None:
    watched.put("a.png")
    watched.rest()
    watched.end("a.png")
    watched.put("a.png", content=PNG * 2)
    watched.open(MOVE)
    watched.rest()
    watched.look(60.0)
    assert watched.files() == ["a.png"]
    watched.end("a.png")
    watched.look()
    assert watched.files() == ["done/a.png"]


def test_a_file_that_changes_while_the_ledger_is_asked_stays(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = move_finished.endings

    def endings(*which: Any) -> Any:
        watched.put("a.png", content=PNG * 2)
        return real(*which)

    watched.open(MOVE)
    watched.put("a.png", "b.png")
    watched.rest()
    watched.end("a.png")
    watched.end("b.png")
    monkeypatch.setattr(move_finished, "endings", endings)
    watched.look()
    assert watched.files() == ["a.png", "done/b.png"]


def test_a_file_that_somebody_writes_stays(watched: Watched) -> None:
    watched.open(MOVE)
    path = watched.put("a.png", "b.png")
    watched.rest()
    watched.end("a.png")
    watched.end("b.png")
    with path.open("r+b"):
        watched.look()
        assert watched.files() == ["b.png", "done/a.png"]
    watched.look()
    assert watched.files() == ["done/a.png", "done/b.png"]


@pytest.fixture
def points(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Where a move may be cut short, and which files lay where then."""
    at: dict[str, list[str]] = {}

    def hit(point: str) -> None:
        at[point] = watched.files()

    monkeypatch.setattr(move_finished.failpoint, "hit", hit)
    return at


def test_the_sidecar_goes_first_so_that_a_move_cut_short_is_made_up_for(
    watched: Watched, points: dict[str, list[str]]
) -> None:
    watched.open(MOVE)
    watched.put("sub/a.png", "sub/a.json")
    watched.rest()
    watched.end("sub/a.png")
    points.clear()
    watched.look()
    assert points == {
        "between-moves": ["done/sub/a.json", "sub/a.png"],
        "after-move": ["done/sub/a.json", "done/sub/a.png"],
    }


def test_a_sidecar_that_others_need_stays(watched: Watched) -> None:
    watched.open(MOVE)
    watched.put("a.png", "a.dcm", "a.json", "b.png", "b.json", "c.png")
    (watched.root / "c.json").mkdir()
    watched.rest()
    for name in ("a.png", "b.png", "c.png"):
        watched.end(name)
    watched.look()
    left = ["a.dcm", "a.json"]
    assert watched.files() == [*left, "done/a.png", "done/b.json", "done/b.png", "done/c.png"]
    assert (watched.root / "c.json").is_dir()


def test_a_name_that_comes_again_gets_a_number_and_its_sidecar_too(watched: Watched) -> None:
    watched.open(MOVE)
    for count in (1, 2, 3):
        watched.put("a.png", content=PNG * count)
        watched.put("a.json", content=b"{}" + b" " * count)
        watched.rest()
        watched.end("a.png")
        watched.look()
    done = watched.root / "done"
    for count, name in enumerate(("a", "a-2", "a-3"), start=1):
        assert (done / f"{name}.png").read_bytes() == PNG * count
        assert (done / f"{name}.json").read_bytes() == b"{}" + b" " * count
    assert len(watched.files()) == 6


def test_what_another_watcher_has_moved_is_no_trouble(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hit(_: str) -> None:
        (watched.root / "a.png").unlink(missing_ok=True)

    watched.open(MOVE)
    watched.put("a.png", "b.png")
    watched.rest()
    watched.end("a.png")
    watched.end("b.png")
    watched.lines()
    monkeypatch.setattr(move_finished.failpoint, "hit", hit)
    watched.look()
    assert watched.files() == ["done/b.png"]
    assert watched.lines() == ["INFO moved: ROOT/b.png to ROOT/done/b.png"]


def test_what_cannot_be_moved_stays_and_each_reason_is_told_once(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.open(MOVE)
    watched.put("a.png", "b.png", "c.png")
    watched.rest()
    watched.end("a.png")
    watched.end("b.png")
    watched.end("c.png", "no-head")
    watched.lines()
    for name in ("done", "failed"):
        (watched.root / name).symlink_to(tmp_path)
    for _ in range(2):
        watched.look(30.0)
    assert watched.lines() == [
        "WARNING ROOT/a.png cannot be moved to ROOT/done: it is a link; it stays",
        "WARNING ROOT/c.png cannot be moved to ROOT/failed/no-head: it is a link; it stays",
    ]
    (watched.root / "done").unlink()

    def refuse(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(move_finished, "_rename", refuse)
    watched.look()
    assert watched.lines() == ["WARNING ROOT/a.png cannot be moved to ROOT/done: OSError; it stays"]
    assert watched.files() == ["a.png", "b.png", "c.png"]
    assert not (tmp_path / "no-head").exists()


def test_a_table_of_pixel_sizes_holds_for_what_arrives(watched: Watched) -> None:
    table = watched.root.with_name("sizes.csv")
    table.write_text("filename,pixel_size_mm\na.png,0.25\n")
    watched.open(MOVE, Options(pixel_sizes=table))
    watched.put("a.png", "b.png")
    watched.rest()
    with watched.ledger.reading() as connection:
        sizes = connection.execute(
            select(ScanRow.manual_row_mm, ScanRow.manual_column_mm).order_by(ScanRow.id)
        ).all()
    assert [tuple(size) for size in sizes] == [(0.25, 0.25), (None, None)]
