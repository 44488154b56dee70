"""What was lost comes back: both sides of each bound, and every column that changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import update

from hcmodel.spacing import Spacing
from rig.clocked import BEGUN, ClockedLedger
from rig.ending import finish
from worker.errors import BatchUnknown, Cancelled, CrashedWorker
from worker.result import FileIdentity, Result, Status
from worker.store import recovery
from worker.store.batches import BatchKind, NewScan, insert_scans, open_batch
from worker.store.claims import claim
from worker.store.recovery import (
    cancel,
    expired_owners,
    free_dead,
    free_expired,
    present_owners,
    requeue,
    retry_changed,
    take_unpublished,
)
from worker.store.tables import BatchRow, ResultRow, ScanRow

A, B = "host:1:1:a", "host:1:2:b"


def refuse(
    ledger: ClockedLedger, scan_id: int, code: str = "no-head", status: Status = Status.REJECTED
) -> None:
    (claimed,) = claim(ledger, [scan_id], A, lease_s=60)
    result = Result(status, "m", code=code, message="words", file=FileIdentity(sha256="x"))
    assert finish(ledger, claimed, result) is status


def states(ledger: ClockedLedger) -> list[str]:
    return [state for _, state in ledger.values(ScanRow.id, ScanRow.state)]


def test_a_lease_runs_out_a_moment_after_its_end(ledger: ClockedLedger) -> None:
    one, two, three = ledger.put("one", 3)
    claim(ledger, [one], A, lease_s=60)
    claim(ledger, [two], B, lease_s=60.001)
    ledger.wait_s(60)
    assert expired_owners(ledger) == []
    assert free_expired(ledger) == 0
    ledger.wait_s(0.001)
    assert expired_owners(ledger) == [A]
    assert sorted(present_owners(ledger)) == [A, B]
    assert free_expired(ledger) == 1
    assert states(ledger) == ["queued", "running", "queued"]
    assert (present_owners(ledger), expired_owners(ledger)) == ([B], [])
    freed = ledger.scan(one)
    assert (freed.owner, freed.lease_until, freed.published_at) == (None, None, None)
    assert (freed.attempts, freed.changed_at) == (1, ledger.present)
    assert (freed.code, freed.message) == (None, None)
    assert ledger.scan(three).changed_at == BEGUN
    lost = (one, 1, "lost", None, CrashedWorker.code, ledger.present)
    assert ledger.history()[2:] == [lost]


def test_an_owner_is_named_once(ledger: ClockedLedger) -> None:
    claim(ledger, ledger.put("one", 3), A, lease_s=1)
    assert present_owners(ledger) == [A]
    ledger.wait_s(2)
    assert expired_owners(ledger) == [A]
    assert free_dead(ledger, [B]) == 0
    assert free_dead(ledger, [B, A]) == 3
    assert present_owners(ledger) == expired_owners(ledger) == []


def test_the_last_attempt_that_is_lost_ends_a_scan(ledger: ClockedLedger) -> None:
    spent, tried = ledger.put("one", 2)
    for scan_id, attempts in ((spent, 3), (tried, 2)):
        for _ in range(attempts):
            claim(ledger, [scan_id], A, lease_s=60)
            assert ledger.scan(scan_id).state == "running"
            free_dead(ledger, [A])
    failed, again = ledger.scan(spent), ledger.scan(tried)
    because = CrashedWorker()
    assert (failed.state, failed.code, failed.message) == ("failed", because.code, str(because))
    assert (failed.attempts, failed.owner, failed.lease_until) == (3, None, None)
    assert (again.state, again.code, again.message) == ("queued", None, None)
    assert [line[1] for line in ledger.history()] == [1, 1, 2, 2, 3, 3, 1, 1, 2, 2]


def test_what_was_never_published_is_taken_once(ledger: ClockedLedger) -> None:
    waiting = ledger.put("one", 2, published=False)
    ledger.put("run", 1, BatchKind.RUN, published=False)
    watched = ledger.put("watch", 1, BatchKind.WATCH, published=False)
    ended, held = ledger.put("ended", 2, published=False)
    refuse(ledger, ended)
    claim(ledger, [held], A, lease_s=60)
    ledger.put("sent", 1)
    ledger.wait_s(1)
    assert take_unpublished(ledger, list_empty=False, grace_s=60) == waiting + watched
    assert {ledger.scan(each).published_at for each in waiting + watched} == {ledger.present}
    assert ledger.scan(held).published_at is None
    assert take_unpublished(ledger, list_empty=False, grace_s=60) == []


def test_what_an_empty_list_has_lost_is_taken_after_the_grace(ledger: ClockedLedger) -> None:
    ids = ledger.put("one", 2)
    ledger.wait_s(60)
    assert take_unpublished(ledger, list_empty=True, grace_s=60) == []
    ledger.wait_s(0.001)
    assert take_unpublished(ledger, list_empty=False, grace_s=60) == []
    assert take_unpublished(ledger, list_empty=True, grace_s=60) == ids
    assert take_unpublished(ledger, list_empty=True, grace_s=60) == []


def test_what_a_later_message_has_overtaken_is_taken_after_the_grace(
    ledger: ClockedLedger,
) -> None:
    early = ledger.put("early", 1)
    ledger.wait_s(10)
    (between,) = ledger.put("between", 1)
    ledger.wait_s(10)
    late = ledger.put("late", 2)
    claim(ledger, [between], A, lease_s=900)
    assert take_unpublished(ledger, list_empty=False, grace_s=10) == []
    assert take_unpublished(ledger, list_empty=False, grace_s=9.999) == early
    assert ledger.scan(early[0]).published_at == ledger.present
    claim(ledger, late[:1], A, lease_s=900)
    assert take_unpublished(ledger, list_empty=False, grace_s=0) == []


def test_some_are_taken_at_a_time(ledger: ClockedLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    assert recovery._ROUND == 4096
    monkeypatch.setattr(recovery, "_ROUND", 2)
    ids = ledger.put("one", 5, published=False)
    taken = [take_unpublished(ledger, list_empty=False, grace_s=60) for _ in range(4)]
    assert taken == [ids[:2], ids[2:4], ids[4:], []]


def test_requeue_begins_anew_and_keeps_the_history(ledger: ClockedLedger) -> None:
    again, kept = ledger.put("one", 2)
    claim(ledger, [again], A, lease_s=60)
    free_dead(ledger, [A])
    refuse(ledger, again)
    refuse(ledger, kept, "file-damaged", Status.FAILED)
    known = len(ledger.history())
    present = ledger.wait_s(100)
    batch = ledger.scan(again).batch_id
    assert requeue(ledger, batch, [Status.REJECTED]) == 1
    row = ledger.scan(again)
    assert (row.state, row.attempts, row.code, row.message) == ("queued", 0, None, None)
    assert (row.model, row.published_at, row.owner) == (None, None, None)
    assert (row.queued_at, row.changed_at) == (present, present)
    assert ledger.history()[known:] == [(again, 2, "requeued", None, "no-head", present)]
    other = ledger.scan(kept)
    assert (other.state, other.code, other.queued_at) == ("failed", "file-damaged", BEGUN)
    assert other.model == "m"
    assert ledger.values(ResultRow.scan_id) == [(kept,)]


def test_requeue_takes_what_is_asked_for(ledger: ClockedLedger) -> None:
    ids, (other,) = ledger.put("one", 5), ledger.put("two", 1)
    batch = ledger.scan(ids[0]).batch_id
    refuse(ledger, ids[0])
    refuse(ledger, ids[1], "too-large", Status.FAILED)
    refuse(ledger, other)
    (claimed,) = claim(ledger, [ids[2]], A, lease_s=60)
    finish(ledger, claimed, Result(Status.MEASURED, "m", file=FileIdentity(sha256="y")))
    claim(ledger, [ids[3]], B, lease_s=60)
    ends = ["rejected", "failed", "measured", "running", "queued", "rejected"]
    assert requeue(ledger, batch, [Status.MEASURED, Status.RUNNING, Status.QUEUED]) == 0
    assert requeue(ledger, batch, code="nothing") == 0
    assert requeue(ledger, batch, [Status.FAILED], code="no-head") == 0
    ledger.wait_s(60)
    assert requeue(ledger, None, older_than_s=60) == 0
    assert states(ledger) == ends
    ledger.wait_s(0.001)
    assert requeue(ledger, batch, older_than_s=60) == 2
    assert states(ledger) == ["queued", "queued", "measured", "running", "queued", "rejected"]
    assert requeue(ledger, None) == 1
    for unknown in ({}, {"code": "no-head"}):
        with pytest.raises(BatchUnknown):
            requeue(ledger, "nothing", **unknown)  # type: ignore[arg-type]


def test_a_size_that_is_given_with_requeue_is_that_files(ledger: ClockedLedger) -> None:
    batch = open_batch(ledger, BatchKind.SUBMIT, "one", "/one")
    old = Spacing(0.5, 0.6)
    scans = [NewScan(f"/one/{number}", manual=old) for number in range(4)]
    ids = insert_scans(ledger, batch, scans, published=True)
    for scan_id in ids[:3]:
        refuse(ledger, scan_id)
    refuse(ledger, ledger.put("two", 1)[0])
    sizes = {"/one/0": Spacing(0.1, 0.2), "/one/1": Spacing(0.3, 0.4), "/two/0": Spacing(1, 2)}
    asked: list[str] = []

    def size_of(source: str) -> Spacing | None:
        asked.append(source)
        return sizes.get(source)

    assert requeue(ledger, batch, size_of=size_of) == 3
    assert sorted(asked) == ["/one/0", "/one/1", "/one/2"]
    columns = (ScanRow.id, ScanRow.manual_row_mm, ScanRow.manual_column_mm)
    assert [row[1:] for row in ledger.values(*columns)] == [
        *((0.1, 0.2), (0.3, 0.4), (0.5, 0.6), (0.5, 0.6), (None, None)),
    ]
    refuse(ledger, ids[2])
    assert requeue(ledger, batch, size_of=lambda _: None) == 1


def test_workers_take_over_what_run_began(ledger: ClockedLedger) -> None:
    kinds = (BatchKind.RUN, BatchKind.WATCH, BatchKind.SUBMIT)
    ids = [ledger.put(f"{kind}", 1, kind)[0] for kind in kinds]
    (other,) = ledger.put("other", 1, BatchKind.RUN)
    for scan_id in [*ids, other]:
        refuse(ledger, scan_id, "too-large" if scan_id == other else "no-head")
    assert requeue(ledger, None, code="no-head") == 3
    known = dict(ledger.values(BatchRow.label, BatchRow.kind))
    told = {"/run": "submit", "/watch": "watch", "/submit": "submit", "/other": "run"}
    assert known == told


def test_a_changed_file_is_tried_again_under_its_new_version(ledger: ClockedLedger) -> None:
    batch = open_batch(ledger, BatchKind.WATCH, "one", "/one")
    other = open_batch(ledger, BatchKind.WATCH, "two", "/two")
    scans = [NewScan("/a", frame, version="1") for frame in range(3)]
    scans += [NewScan("/a", version="0"), NewScan("/b", version="1")]
    ids = insert_scans(ledger, batch, scans, published=True)
    ids += insert_scans(ledger, other, [NewScan("/a", version="1")], published=True)
    for scan_id in (ids[0], *ids[3:]):
        refuse(ledger, scan_id)
    refuse(ledger, ids[1], status=Status.FAILED)
    (claimed,) = claim(ledger, [ids[2]], A, lease_s=60)
    retry_changed(ledger, batch, "/a", "1", "2")
    versions = [row[1:] for row in ledger.values(ScanRow.id, ScanRow.state, ScanRow.version)]
    assert versions == [
        *(("queued", "2"), ("queued", "2"), ("running", "2")),
        *(("rejected", "0"), ("rejected", "1"), ("rejected", "1")),
    ]
    assert finish(ledger, claimed, Result(Status.FAILED, "m", code="x")) is Status.FAILED


def test_cancel_ends_what_is_left(ledger: ClockedLedger) -> None:
    done, held, waits = ids = ledger.put("one", 3)
    (other,) = ledger.put("two", 1)
    refuse(ledger, done)
    claim(ledger, [held], A, lease_s=60)
    known = len(ledger.history())
    present = ledger.wait_s(5)
    assert cancel(ledger, ledger.scan(done).batch_id) == 2
    because = Cancelled()
    for scan_id, attempts in ((held, 1), (waits, 0)):
        row = ledger.scan(scan_id)
        assert (row.state, row.code, row.message) == ("rejected", because.code, str(because))
        assert (row.attempts, row.owner, row.lease_until) == (attempts, None, None)
        assert row.changed_at == present
    told = [(held, 1, "cancelled", None, because.code, present)]
    told += [(waits, 0, "cancelled", None, because.code, present)]
    assert ledger.history()[known:] == told
    assert (ledger.scan(done).code, ledger.scan(other).state) == ("no-head", "queued")
    assert ledger.scan(ids[0]).changed_at == BEGUN
    with pytest.raises(BatchUnknown):
        cancel(ledger, "nothing")


def ends_of_intake(ledger: ClockedLedger, batches: Sequence[str]) -> list[object]:
    known = dict(ledger.values(BatchRow.id, BatchRow.intake_done_at))
    return [known[batch] for batch in batches]


def test_cancel_ends_an_interrupted_intake_unless_it_never_ends(ledger: ClockedLedger) -> None:
    kinds = (BatchKind.SUBMIT, BatchKind.WATCH, BatchKind.RUN)
    batches = [open_batch(ledger, kind, str(kind), f"/{kind}") for kind in kinds]
    batches.append(open_batch(ledger, BatchKind.SUBMIT, "other", "/other"))
    done = BEGUN - timedelta(seconds=9)
    with ledger.writing() as connection:
        ended = update(BatchRow).where(BatchRow.id == batches[2])
        connection.execute(ended.values(intake_done_at=done))
    present = ledger.wait_s(5)
    for batch in batches[:3]:
        assert cancel(ledger, batch) == 0
    assert ends_of_intake(ledger, batches) == [present, None, done, None]
