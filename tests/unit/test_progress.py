"""How far batches have come: counts, rates and remaining times by a clock that stands still."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from sqlalchemy import insert, update

from rig.clocked import BEGUN, ClockedLedger
from rig.ending import finish
from worker.errors import BatchUnknown
from worker.result import FileIdentity, Result, Status
from worker.store import progress as room
from worker.store.batches import BatchKind, NewSkip, insert_skipped, open_batch
from worker.store.claims import claim
from worker.store.progress import (
    Progress,
    census,
    counts,
    latest_batches,
    progress,
    refusals_by_code,
    skipped_files,
    skips_by_code,
    wait,
    waits_for_workers,
)
from worker.store.tables import BatchRow, ScanRow


def batch_of(ledger: ClockedLedger, ids: Sequence[int]) -> str:
    batch: str = ledger.scan(ids[0]).batch_id
    return batch


def end(ledger: ClockedLedger, scan_id: int, code: str | None = None, *, failed: bool = False):
    (claimed,) = claim(ledger, [scan_id], "host:1:a", lease_s=60)
    status = Status.FAILED if failed else Status.REJECTED if code else Status.MEASURED
    file = FileIdentity(sha256=str(scan_id))
    assert finish(ledger, claimed, Result(status, "m", code=code, file=file)) is status


def known(rate_per_s: float | None = None, intake_done: bool = True, **states: int) -> Progress:
    found = {status: states.get(status.value, 0) for status in Status}
    return Progress("batch", found, 0, intake_done, rate_per_s)


def test_what_is_left_of_a_batch() -> None:
    present = known(2.0, measured=1, flagged=2, rejected=3, failed=4, queued=5, running=6)
    assert (present.total, present.pending, present.finished) == (21, 11, False)
    assert present.remaining_s == 5.5
    assert known(0.5, running=3).remaining_s == 6.0
    assert known(None, queued=1).remaining_s is None
    assert known(0.0, queued=1).remaining_s is None
    assert known(None, measured=9).remaining_s == 0
    assert known(measured=1).finished
    assert known().finished
    assert not known(intake_done=False).finished
    assert not known(queued=1).finished
    assert not known(running=1).finished


def changed(ledger: ClockedLedger, scan_id: int, at: datetime, state: str = "measured") -> None:
    with ledger.writing() as connection:
        connection.execute(
            update(ScanRow).where(ScanRow.id == scan_id).values(changed_at=at, state=state)
        )


def test_the_rate_is_that_of_the_last_minutes_ends(ledger: ClockedLedger) -> None:
    ids = ledger.put("one", 6)
    (other,) = ledger.put("two", 1)
    batch = batch_of(ledger, ids)

    def rate() -> float | None:
        return progress(ledger, batch).rate_per_s

    present = ledger.wait_s(1000)
    assert rate() is None
    changed(ledger, ids[0], present - timedelta(seconds=60))
    changed(ledger, ids[1], present - timedelta(seconds=10), "flagged")
    assert rate() is None
    changed(ledger, ids[2], present, "running")
    changed(ledger, other, present - timedelta(seconds=20))
    assert rate() is None
    assert progress(ledger).rate_per_s == 2 / 20
    changed(ledger, ids[3], present - timedelta(seconds=4), "failed")
    assert rate() == 2 / 10
    changed(ledger, ids[4], present - timedelta(seconds=59.999), "rejected")
    assert rate() == 3 / 59.999
    changed(ledger, ids[5], present, "duplicate")
    assert rate() == 4 / 59.999
    ledger.wait_s(60)
    assert rate() is None
    for number, later_s in enumerate((-0.001, 0.499)):
        changed(ledger, ids[number], ledger.present + timedelta(seconds=later_s))
    ledger.wait_s(0.499)
    assert rate() == 2 / 0.5


def test_ends_at_one_moment_have_no_rate(ledger: ClockedLedger) -> None:
    for scan_id in ledger.put("one", 3)[:2]:
        changed(ledger, scan_id, ledger.present)
    assert progress(ledger).rate_per_s is None


def test_one_batch_or_all(ledger: ClockedLedger) -> None:
    one, two = ledger.put("one", 3), ledger.put("two", 2)
    first, second = batch_of(ledger, one), batch_of(ledger, two)
    insert_skipped(ledger, first, [NewSkip(f"/{name}", "text", "words") for name in "abc"])
    insert_skipped(ledger, second, [NewSkip("/a", "text", "words")])
    end(ledger, one[0])
    claim(ledger, one[1:2], "host:1:b", lease_s=60)
    end(ledger, two[0], "no-head")
    none = dict.fromkeys(Status, 0)
    of_first = none | {Status.MEASURED: 1, Status.RUNNING: 1, Status.QUEUED: 1}
    of_all = none | {Status.MEASURED: 1, Status.RUNNING: 1, Status.QUEUED: 2, Status.REJECTED: 1}
    assert counts(ledger, first) == of_first
    assert counts(ledger) == of_all
    assert progress(ledger, first) == Progress(first, of_first, 3, True, None)
    known_of_all = progress(ledger)
    assert (known_of_all.batch, known_of_all.counts) == (None, of_all)
    assert (known_of_all.skipped, known_of_all.intake_done) == (4, True)
    third = open_batch(ledger, BatchKind.SUBMIT, "three", "/three")
    assert progress(ledger, third) == Progress(third, none, 0, False, None)
    assert progress(ledger, first).intake_done
    assert not progress(ledger).intake_done
    with pytest.raises(BatchUnknown):
        progress(ledger, "nothing")


def test_the_census_counts_why_and_how_long(ledger: ClockedLedger) -> None:
    assert census(ledger).oldest_queued_s == 0
    ids = ledger.put("one", 5)
    ledger.wait_s(7.5)
    more = ledger.put("two", 2, BatchKind.RUN)
    end(ledger, ids[0], "no-head")
    end(ledger, ids[1], "no-head")
    end(ledger, more[0], "crashed-worker", failed=True)
    end(ledger, ids[2])
    end(ledger, more[1], failed=True)
    ledger.wait_s(2)
    found = census(ledger)
    assert found.codes == {"no-head": 2, "crashed-worker": 1, "": 1}
    assert found.counts == counts(ledger)
    assert found.oldest_queued_s == 9.5
    claim(ledger, ids[3:], "host:1:a", lease_s=60)
    assert census(ledger).oldest_queued_s == 0


def test_refusals_are_in_order_of_number_then_code(ledger: ClockedLedger) -> None:
    ids, (other,) = ledger.put("one", 8), ledger.put("two", 1)
    codes = ["too-large", "no-head", "no-head", "file-damaged", "too-large", None, "no-head"]
    for scan_id, code in zip(ids, codes, strict=False):
        end(ledger, scan_id, code)
    end(ledger, ids[7], "file-damaged", failed=True)
    end(ledger, other, "too-large")
    assert list(refusals_by_code(ledger, batch_of(ledger, ids)).items()) == [
        ("no-head", 3),
        ("file-damaged", 2),
        ("too-large", 2),
    ]


def test_a_refusal_without_a_code_is_counted(ledger: ClockedLedger) -> None:
    ids = ledger.put("one", 1)
    end(ledger, ids[0], failed=True)
    assert refusals_by_code(ledger, batch_of(ledger, ids)) == {"": 1}


def test_skips_are_in_order_of_number_then_code(ledger: ClockedLedger) -> None:
    first, second = (batch_of(ledger, ledger.put(name, 1)) for name in ("one", "two"))
    skips = [
        *(NewSkip("/1", "video", "a film"), NewSkip("/2", "text", "b"), NewSkip("/3", "text", "a")),
        *(NewSkip("/4", "archive", "zip"), NewSkip("/5", "video", "a film")),
    ]
    insert_skipped(ledger, first, skips)
    insert_skipped(ledger, second, [NewSkip("/6", "archive", "tar"), NewSkip("/7", "text", "b")])
    assert list(skips_by_code(ledger, first).items()) == [
        ("text", (2, "")),
        ("video", (2, "a film")),
        ("archive", (1, "zip")),
    ]
    assert skipped_files(ledger, first) == skips
    assert skipped_files(ledger, first, limit=2) == skips[:2]
    with pytest.raises(BatchUnknown):
        skipped_files(ledger, "nothing")


@pytest.mark.parametrize("kind", [BatchKind.SUBMIT, BatchKind.WATCH])
def test_who_waits_for_workers(ledger: ClockedLedger, kind: BatchKind) -> None:
    run, ids = ledger.put("run", 1, BatchKind.RUN), ledger.put("one", 1, kind)
    of_run, batch = batch_of(ledger, run), batch_of(ledger, ids)
    assert waits_for_workers(ledger)
    assert waits_for_workers(ledger, batch)
    assert not waits_for_workers(ledger, of_run)
    claim(ledger, [*run, *ids], "host:1:a", lease_s=60)
    assert waits_for_workers(ledger, batch)
    assert not waits_for_workers(ledger, of_run)
    changed(ledger, ids[0], BEGUN)
    assert not waits_for_workers(ledger)
    assert not waits_for_workers(ledger, batch)


def test_waiting_looks_again_until_the_time_is_over(
    ledger: ClockedLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = ledger.put("one", 1)
    batch = batch_of(ledger, ids)
    slept: list[float] = []
    looks: list[int] = []
    monkeypatch.setattr(room.time, "monotonic", lambda: 100.0 + sum(slept))
    monkeypatch.setattr(room.time, "sleep", slept.append)
    late = wait(ledger, batch, 1.5, lambda present: looks.append(present.pending))
    assert (late.finished, slept, looks) == (False, [0.5] * 3, [1] * 4)
    assert not wait(ledger, batch, 0.0).finished
    assert slept == [0.5] * 3

    def measure(present: Progress) -> None:
        looks.append(present.pending)
        if len(looks) == 7:
            changed(ledger, ids[0], BEGUN)

    assert wait(ledger, batch, None, measure, poll_s=0.25).finished
    assert slept == [0.5] * 3 + [0.25] * 3
    assert looks[4:] == [1, 1, 1, 0]


def test_the_latest_batches_come_first(ledger: ClockedLedger) -> None:
    rows = [
        {
            "id": f"b{number:02}",
            "kind": "watch" if number == 7 else "run",
            "request_key": str(number),
            "label": f"/{number}",
            "created_at": BEGUN + timedelta(minutes=(21 - number) // 2),
            "intake_done_at": BEGUN if number == 7 else None,
        }
        for number in range(22)
    ]
    with ledger.writing() as connection:
        connection.execute(insert(BatchRow), rows)
        scans = [
            {"batch_id": each, "source": each, "frame": 0, "version": ""} for each in ("b07", "b20")
        ]
        connection.execute(insert(ScanRow), scans)
    found = latest_batches(ledger)
    assert [each.batch for each in found] == [f"b{number ^ 1:02}" for number in range(20)]
    assert [each.batch for each in latest_batches(ledger, 2)] == ["b01", "b00"]
    seventh = found[6]
    assert (seventh.batch, seventh.kind, seventh.label) == ("b07", "watch", "/7")
    assert (seventh.created_at, seventh.intake_done) == (BEGUN + timedelta(minutes=7), True)
    assert seventh.counts == dict.fromkeys(Status, 0) | {Status.QUEUED: 1}
    assert [each.intake_done for each in found].count(True) == 1
