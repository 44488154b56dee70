"""Files into the ledger: in parts, each committed before it is sent, and counted once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from rig.clocked import BEGUN, ClockedLedger
from worker.intake import submit as room
from worker.intake.discover import Options, Request
from worker.intake.submit import Intake, Submission, submit, take_in, take_part
from worker.queue.hints import Hints
from worker.roots import Roots
from worker.settings import Settings
from worker.store.batches import BatchKind, NewScan, NewSkip, open_batch
from worker.store.tables import BatchRow, ScanRow, SkippedFileRow

PNG = b"\x89PNG\r\n\x1a\n"


def parts(
    monkeypatch: pytest.MonkeyPatch, count: int, at_s: Sequence[float] = (), most: int = 4
) -> list[list[int]]:
    """How many entries stand in which part, where the n-th comes at ``at_s[n]``."""
    present_s = [100.0]
    monkeypatch.setattr(room, "_PART_ROWS", most)
    monkeypatch.setattr(room.time, "monotonic", lambda: present_s[0])

    def entries() -> Iterator[NewScan]:
        for number in range(count):
            if at_s:
                present_s[0] = 100.0 + at_s[number]
            yield NewScan(str(number))

    return [[int(scan.source) for scan in part] for part in room._parts(entries())]


def test_many_files_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (room._PART_ROWS, room._PART_S) == (2048, 2.0)
    assert parts(monkeypatch, 0) == []
    assert parts(monkeypatch, 3) == [[0, 1, 2]]
    assert parts(monkeypatch, 4) == [[0, 1, 2, 3]]
    assert parts(monkeypatch, 9) == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]


def test_a_slow_drive_is_taken_in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    at_s = (0.0, 1.999, 2.0, 3.0, 3.999, 4.0, 6.5)
    assert parts(monkeypatch, 7, at_s, most=9) == [[0, 1, 2], [3, 4, 5], [6]]


def test_a_part_is_committed_before_it_is_sent(ledger: ClockedLedger) -> None:
    batch = open_batch(ledger, BatchKind.SUBMIT, "one", "/one")
    sent: list[list[int]] = []

    def send(ids: Sequence[int]) -> None:
        assert [scan_id for (scan_id,) in ledger.values(ScanRow.id)][-len(ids) :] == ids
        sent.append(list(ids))

    part = [NewScan("/a"), NewSkip("/n", "text", "words"), NewScan("/b"), NewSkip("/m", "x", "y")]
    first = take_part(ledger, batch, part, Roots(), send, published=True)
    assert first == Intake(batch, found=2, new=2, skipped=2)
    more = [NewScan("/b"), NewScan("/c"), NewScan("/d"), NewSkip("/n", "text", "words")]
    second = take_part(ledger, batch, more, Roots(), send, published=False)
    assert second == Intake(batch, found=3, new=2, skipped=1)
    assert first + second == Intake(batch, found=5, new=4, skipped=3)
    rows = ledger.values(ScanRow.id, ScanRow.source, ScanRow.published_at, ScanRow.batch_id)
    times = {source: published_at for _, source, published_at, _ in rows}
    assert times == {"/a": BEGUN, "/b": BEGUN, "/c": None, "/d": None}
    assert sent == [[row[0] for row in rows[:2]], [row[0] for row in rows[2:]]]
    assert {row[3] for row in rows} == {batch}
    skips = ledger.values(SkippedFileRow.id, SkippedFileRow.source, SkippedFileRow.batch_id)
    assert [row[1:] for row in skips] == [("/n", batch), ("/m", batch)]


@pytest.mark.parametrize("kind", [BatchKind.RUN, BatchKind.SUBMIT])
def test_a_request_is_taken_in_to_its_end(
    ledger: ClockedLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: BatchKind
) -> None:
    monkeypatch.setattr(room, "_PART_ROWS", 2)
    for name in "abc":
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{name}.png").write_bytes(PNG)
    request = Request.of([tmp_path / "in"], Options())
    steps: list[Intake] = []
    taken = take_in(ledger, kind, request, Hints(None), steps.append)
    batch = taken.batch
    assert steps == [Intake(batch), Intake(batch, 2, 2), Intake(batch, 3, 3)]
    assert taken == steps[-1]
    columns = (BatchRow.id, BatchRow.kind, BatchRow.request_key, BatchRow.label)
    (row,) = ledger.values(*columns, BatchRow.intake_done_at)
    assert row == (batch, kind, request.key, str(tmp_path / "in"), BEGUN)
    assert take_in(ledger, kind, request, Hints(None), steps.append) == Intake(batch, 3, 0)
    assert {at for _, at in ledger.values(ScanRow.id, ScanRow.published_at)} == {None}


def test_what_is_submitted_without_a_broker_waits(tmp_path: Path) -> None:
    environment = {"HC_DATA_DIR": str(tmp_path / "data")}
    settings = Settings.from_environment(environment)
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png", "notes.txt"):
        (tmp_path / "in" / name).write_bytes(PNG if "png" in name else b"words")
    steps: list[Intake] = []
    first = submit(settings, [tmp_path / "in"], on_progress=steps.append)
    assert first == Submission(first.batch, 2, 2, 1, published=False, workers_listening=False)
    assert steps == [Intake(first.batch), Intake(first.batch, 2, 2, 1)]
    again = submit(settings, [tmp_path / "in"], Options())
    assert again == Submission(first.batch, 2, 0, 1, published=False, workers_listening=False)
    other = submit(settings, [tmp_path / "in"], Options(recursive=False))
    assert (other.batch == first.batch, other.new) == (False, 2)
