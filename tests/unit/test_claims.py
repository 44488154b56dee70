"""Claims and ends: which scans, in which order, and every column that changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from hcmodel.spacing import Spacing
from rig.clocked import BEGUN, ClockedLedger
from rig.ending import first_measured
from worker.errors import HcBatchError
from worker.result import FileIdentity, HeadEllipse, HeadPlane, HeadSizes, Result, Status
from worker.store.batches import BatchKind, NewScan, insert_scans, open_batch
from worker.store.claims import (
    MAX_ATTEMPTS,
    Claim,
    claim,
    claim_next,
    claim_waiting,
    content_key,
    finish,
    give_back,
    renew,
)
from worker.store.states import Event, sources
from worker.store.tables import ResultRow, ScanRow

A, B = "host:1:1:a", "host:1:2:b"


def ids_of(claims: list[Claim]) -> list[int]:
    return [each.scan_id for each in claims]


def change(ledger: ClockedLedger, scan_id: int, **values: object) -> None:
    with ledger.writing() as connection:
        connection.execute(update(ScanRow).where(ScanRow.id == scan_id).values(**values))


FLAGS = ("weak-fit", "cut-by-border")


def measured(content: str, status: Status = Status.MEASURED, hc_mm: float = 200.0) -> Result:
    return Result(
        status,
        "m",
        sizes=HeadSizes(hc_mm=hc_mm),
        ellipse=HeadEllipse(flags=FLAGS if status is Status.FLAGGED else ()),
        file=FileIdentity(sha256=content),
        head_plane=HeadPlane("trans-thalamic"),
    )


def test_what_a_claim_knows_of_its_scan(ledger: ClockedLedger) -> None:
    batch = open_batch(ledger, BatchKind.SUBMIT, "one", "/one")
    scans = [
        NewScan("/a", 7, Spacing(0.1, 0.2), any_plane=True),
        NewScan("/b", 0, None),
    ]
    first, second = insert_scans(ledger, batch, scans, published=True)
    present = ledger.wait_s(5)
    assert claim(ledger, [first, second], A, lease_s=60) == [
        Claim(first, batch, "/a", 7, Spacing(0.1, 0.2), True, 1, A),
        Claim(second, batch, "/b", 0, None, False, 1, A),
    ]
    row = ledger.scan(first)
    assert (row.state, row.owner, row.attempts) == ("running", A, 1)
    assert (row.changed_at, row.lease_until) == (present, present + timedelta(seconds=60))
    assert (row.queued_at, row.published_at) == (BEGUN, BEGUN)
    told = [(each, 1, "claimed", A, None, present) for each in (first, second)]
    assert ledger.history() == told


def test_the_first_that_are_free_are_claimed(ledger: ClockedLedger) -> None:
    ids = ledger.put("one", 5)
    assert ids_of(claim(ledger, ids[::-1], A, lease_s=60, limit=2)) == ids[:2]
    assert ids_of(claim(ledger, ids[:4], B, lease_s=60)) == ids[2:4]
    assert claim(ledger, [], B, lease_s=60) == []
    ledger.wait_s(61)
    assert ids_of(claim(ledger, ids, B, lease_s=60)) == ids[4:]


@pytest.mark.parametrize("by_batch", [False, True])
def test_how_often_a_scan_may_be_tried(ledger: ClockedLedger, by_batch: bool) -> None:
    assert MAX_ATTEMPTS == 3
    ids = ledger.put("one", 4)
    for attempts, scan_id in enumerate(ids):
        change(ledger, scan_id, attempts=attempts)
    batch = ledger.scan(ids[0]).batch_id

    def taken(untried: bool) -> list[int]:
        if by_batch:
            return ids_of(
                claim_next(ledger, batch, A, lease_s=60, limit=9, untried=untried)
                if untried
                else claim_next(ledger, batch, A, lease_s=60, limit=9)
            )
        if untried:
            return ids_of(claim(ledger, ids, A, lease_s=60, untried=True))
        return ids_of(claim(ledger, ids, A, lease_s=60))

    assert taken(True) == ids[:1]
    assert taken(False) == ids[1:3]
    assert ledger.scan(ids[3]).state == "queued"


def test_the_next_of_a_batch(ledger: ClockedLedger) -> None:
    one, two, three, ended = ledger.put("one", 4)
    (other,) = ledger.put("two", 1)
    batch = ledger.scan(one).batch_id
    claim(ledger, [one], A, lease_s=60)
    claim(ledger, [two, other], A, lease_s=61)
    past = BEGUN - timedelta(seconds=1)
    change(ledger, ended, state="failed", lease_until=past)
    ledger.wait_s(60)
    assert ids_of(claim_next(ledger, batch, B, lease_s=9, limit=2)) == [three]
    ledger.wait_s(1)
    (late,) = claim_next(ledger, batch, B, lease_s=60, limit=9)
    assert (late.scan_id, late.attempt, late.owner) == (one, 2, B)
    ledger.wait_s(0.001)
    assert ids_of(claim_next(ledger, batch, B, lease_s=60, limit=9)) == [two]
    assert ledger.scan(other).owner == A


def test_what_waits_is_claimed_in_order_of_its_messages(ledger: ClockedLedger) -> None:
    late = ledger.put("late", 2)
    ledger.put("run", 1, BatchKind.RUN)
    ledger.wait_s(-10)
    early = ledger.put("early", 2, BatchKind.WATCH)
    held, tried = ledger.put("held", 2)
    change(ledger, held, state="running")
    change(ledger, tried, attempts=1)
    assert ids_of(claim_waiting(ledger, A, lease_s=60, limit=1)) == early[:1]
    assert ids_of(claim_waiting(ledger, A, lease_s=60, limit=2)) == [late[0], early[1]]
    assert ledger.scan(late[0]).lease_until == ledger.present + timedelta(seconds=60)
    assert ids_of(claim_waiting(ledger, A, lease_s=60, limit=9)) == late[1:]


def test_a_lease_is_renewed_for_what_its_owner_works_on(ledger: ClockedLedger) -> None:
    mine, other, ended = ledger.put("one", 3)
    claim(ledger, [mine, ended], A, lease_s=60)
    claim(ledger, [other], B, lease_s=60)
    change(ledger, ended, state="failed")
    ledger.wait_s(30)
    assert renew(ledger, A, lease_s=60) == 1
    ends = [ledger.scan(each).lease_until - BEGUN for each in (mine, other, ended)]
    assert [each.total_seconds() for each in ends] == [90, 60, 60]
    assert ledger.scan(mine).changed_at == BEGUN


def test_every_column_of_an_end(ledger: ClockedLedger) -> None:
    claims = claim(ledger, ledger.put("one", 4), A, lease_s=60)
    known = len(ledger.history())
    present = ledger.wait_s(5)
    file = FileIdentity(sha256="x")
    results = [
        measured("a"),
        measured("b", Status.FLAGGED),
        Result(Status.REJECTED, "m", code="no-head", message="No head.", file=file),
        Result(Status.FAILED, "m", code="failed", message="It failed.", file=file),
    ]
    ended = list(zip(claims, results, strict=True))
    assert finish(ledger, ended) == [result.status for result in results]
    for claimed, result in ended:
        row = ledger.scan(claimed.scan_id)
        assert (row.state, row.code, row.message) == (result.status, result.code, result.message)
        assert (row.sha256, row.model, row.duplicate_of) == (result.file.sha256, "m", None)
        assert (row.owner, row.lease_until, row.changed_at) == (None, None, present)
        assert row.attempts == 1
        assert (row.hc_mm, row.plane, row.flags) == (
            result.sizes.hc_mm,
            result.head_plane.plane,
            " ".join(result.ellipse.flags) or None,
        )
    codes = ["measured", "flagged", "no-head", "failed"]
    assert ledger.history()[known:] == [
        (each.scan_id, 1, "finished", A, code, present)
        for each, code in zip(claims, codes, strict=True)
    ]
    stored = ledger.values(ResultRow.scan_id, ResultRow.content_key, ResultRow.measured_at)
    keys = ["a:0:", "b:0:", None, None]
    assert stored == [(c.scan_id, key, present) for c, key in zip(claims, keys, strict=True)]
    assert finish(ledger, ended) == [None] * 4
    assert len(ledger.history()) == known + 4


@pytest.mark.parametrize(
    "lost",
    [{"owner": B}, {"attempts": 2}, {"state": "queued"}, {"state": "rejected"}],
    ids=str,
)
def test_what_is_no_longer_the_owners_is_left_alone(
    ledger: ClockedLedger, lost: dict[str, object]
) -> None:
    claims = claim(ledger, ledger.put("one", 2), A, lease_s=60)
    change(ledger, claims[0].scan_id, **lost)
    before, known = ledger.scan(claims[0].scan_id), len(ledger.history())
    ended = [(claims[0], measured("a")), (claims[1], measured("b"))]
    assert finish(ledger, ended) == [None, Status.MEASURED]
    assert ledger.scan(claims[0].scan_id) == before
    assert len(ledger.history()) == known + 1
    assert ledger.values(ResultRow.scan_id) == [(claims[1].scan_id,)]


def test_a_duplicate_tells_of_the_first_alone(ledger: ClockedLedger) -> None:
    first, second, bad, worse, told = claim(ledger, ledger.put("one", 5), A, lease_s=60)
    assert finish(ledger, [(first, measured("a", Status.FLAGGED))]) == [Status.FLAGGED]
    refused = Result(Status.REJECTED, "m", code="no-head", file=FileIdentity(sha256="a"))
    again = Result(Status.DUPLICATE, "m", file=FileIdentity(sha256="a"))
    ended = [(second, measured("a", hc_mm=1.0)), (bad, refused), (worse, refused), (told, again)]
    states = [Status.DUPLICATE, Status.REJECTED, Status.REJECTED, Status.DUPLICATE]
    assert finish(ledger, ended) == states
    for claimed in (second, told):
        row = ledger.scan(claimed.scan_id)
        assert (row.state, row.duplicate_of) == ("duplicate", first.scan_id)
        assert (row.sha256, row.model, row.code, row.message) == ("a", "m", None, None)
        assert (row.hc_mm, row.plane, row.flags) == (200.0, "trans-thalamic", " ".join(FLAGS))
    told_of = {line[0]: line[4] for line in ledger.history()[-4:]}
    assert [told_of[each.scan_id] for each in (second, bad, worse, told)] == [
        *("duplicate", "no-head", "no-head", "duplicate")
    ]
    kept = [(each.scan_id,) for each in (first, bad, worse)]
    assert ledger.values(ResultRow.scan_id) == kept


def test_another_model_measures_the_same_content_anew(ledger: ClockedLedger) -> None:
    one, two, three = claim(ledger, ledger.put("one", 3), A, lease_s=60)
    other = replace(measured("a"), model="n")
    assert finish(ledger, [(one, measured("a"))]) == [Status.MEASURED]
    assert first_measured(ledger, "a", 0, None, False, "n") is None
    assert finish(ledger, [(two, other)]) == [Status.MEASURED]
    assert first_measured(ledger, "a", 0, None, False, "m") == one.scan_id
    assert first_measured(ledger, "a", 0, None, False, "n") == two.scan_id
    assert first_measured(ledger, "b", 0, None, False, "m") is None
    assert finish(ledger, [(three, other)]) == [Status.DUPLICATE]
    assert ledger.scan(three.scan_id).duplicate_of == two.scan_id


def test_what_makes_contents_equal() -> None:
    assert content_key("ab", 3, None, False) == "ab:3:"
    assert content_key("ab", 3, Spacing(0.1, 0.25), False) == "ab:3:0.1x0.25"
    assert content_key("ab", 3, Spacing(0.1, 0.25), True) == "ab:3:0.1x0.25:any-plane"
    assert content_key(None, 3, None, True) is None


def test_what_is_given_back_was_never_tried(ledger: ClockedLedger) -> None:
    mine, other, ended = ledger.put("one", 3)
    for _ in range(2):
        claim(ledger, [mine], A, lease_s=60)
        give_back(ledger, A, HcBatchError("lost"))
    claim(ledger, [mine, ended], A, lease_s=60)
    claim(ledger, [other], B, lease_s=60)
    change(ledger, ended, state="failed")
    known = len(ledger.history())
    present = ledger.wait_s(5)
    assert give_back(ledger, A) == 1
    row = ledger.scan(mine)
    assert (row.state, row.attempts, row.published_at) == ("queued", 2, None)
    assert (row.owner, row.lease_until, row.changed_at) == (None, None, present)
    assert ledger.history()[known:] == [(mine, 3, "given-back", A, None, present)]
    assert (ledger.scan(other).owner, ledger.scan(ended).owner) == (B, A)
    assert give_back(ledger, A) == 0


def test_what_is_given_back_with_an_error_was_tried(ledger: ClockedLedger) -> None:
    spent, other, ended = ledger.put("one", 3)
    claim(ledger, [other], B, lease_s=60)
    change(ledger, ended, state="rejected", owner=A)
    because = HcBatchError("a KeyError")
    for attempt in (1, 2, 3):
        assert ids_of(claim(ledger, [spent], A, lease_s=60)) == [spent]
        assert give_back(ledger, A, because) == 1
        told = (spent, attempt, "lost", None, because.code, BEGUN)
        assert ledger.history()[-1] == told
    row = ledger.scan(spent)
    assert (row.state, row.code, row.message) == ("failed", because.code, str(because))
    assert (ledger.scan(other).owner, ledger.scan(ended).state) == (B, "rejected")


def test_in_which_states_an_event_may_happen() -> None:
    assert sources(Event.LOST) == sources(Event.FINISHED) == (Status.RUNNING,)
    assert sources(Event.CLAIMED) == (Status.QUEUED, Status.RUNNING)
    assert sources(Event.REQUEUED) == (Status.FAILED, Status.REJECTED)
    assert sources(Event.CANCELLED) == (Status.QUEUED, Status.RUNNING)
