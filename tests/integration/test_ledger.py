"""Claims, ends and losses, on real databases and with several processes at once."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, insert, select, update

from hcmodel.spacing import Spacing
from rig.ending import finish, first_measured
from worker.columns import columns_of
from worker.errors import BatchAmbiguous, BatchUnknown, CrashedWorker, HcBatchError
from worker.result import FileIdentity, HeadEllipse, HeadPlane, HeadSizes, Result, Status
from worker.settings import Settings
from worker.store import claims
from worker.store.batches import (
    BatchKind,
    NewScan,
    NewSkip,
    find_batch,
    finish_intake,
    insert_scans,
    insert_skipped,
    open_batch,
)
from worker.store.claims import (
    MAX_ATTEMPTS,
    claim,
    claim_next,
    claim_waiting,
    give_back,
    renew,
)
from worker.store.clock import now
from worker.store.filter import Filter
from worker.store.progress import (
    counts,
    latest_batches,
    progress,
    refusals_by_code,
    skipped_files,
    skips_by_code,
    wait,
    waits_for_workers,
)
from worker.store.recovery import (
    cancel,
    free_dead,
    free_expired,
    present_owners,
    requeue,
    take_unpublished,
)
from worker.store.rows import COLUMNS, select_rows
from worker.store.session import Database, open_database
from worker.store.tables import RESULT_COLUMNS, AttemptRow, BatchRow, ResultRow, ScanRow

MODEL = "hc-test-1"
LEASE_S = 60.0


def measured(sha256: str, hc_mm: float = 250.0) -> Result:
    return Result(
        Status.MEASURED,
        MODEL,
        sizes=HeadSizes(hc_mm=hc_mm, hc_low_mm=hc_mm - 4, hc_high_mm=hc_mm + 6),
        ellipse=HeadEllipse(flags=("border", "zoom")),
        file=FileIdentity(sha256=sha256),
    )


def submit(
    database: Database, count: int, kind: BatchKind = BatchKind.SUBMIT, key: str = "key"
) -> list[int]:
    batch = open_batch(database, kind, key, "/scans")
    scans = [NewScan(f"/scans/{number:05}.png") for number in range(count)]
    ids = insert_scans(database, batch, scans, published=True)
    finish_intake(database, batch)
    return ids


def batch_of(database: Database) -> str:
    return latest_batches(database)[0].batch


def expire(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(update(ScanRow).values(lease_until=now(-1)))


def test_what_is_taken_in_comes_back_whatever_its_name(database: Database) -> None:
    """Also what means something in a statement or in an array of PostgreSQL."""
    odd = ("NULL", "null", "{a,b}", 'a"b', "a'b", "a\\b", "a,b", "%s", ":a", "\t", "ä\u2028", " ")
    scans = [
        NewScan(f"/{name}", frame, Spacing(0.1, 1 / 3) if frame else None, name, frame == 2)
        for name in odd
        for frame in range(3)
    ]
    batch = open_batch(database, BatchKind.SUBMIT, "odd", "/")
    ids = insert_scans(database, batch, scans[:-1], published=False)
    assert len(insert_scans(database, batch, scans, published=True)) == 1
    taken = claim(database, ids, "host:1:1:a", lease_s=LEASE_S)
    kept = [(each.source, each.frame, each.manual, each.any_plane) for each in taken]
    assert kept == [(each.source, each.frame, each.manual, each.any_plane) for each in scans[:-1]]
    with database.reading() as connection:
        rows = connection.execute(
            select(ScanRow.version, ScanRow.published_at).order_by(ScanRow.id)
        )
        versions, published = zip(*rows, strict=True)
    assert list(versions) == [each.version for each in scans]
    assert [each is not None for each in published] == [False] * len(ids) + [True]


def test_a_submitted_batch_is_measured_and_reported(database: Database) -> None:
    ids = submit(database, 3)
    claims = claim(database, ids, "host:1:a", lease_s=LEASE_S)
    assert [c.source for c in claims] == [f"/scans/{n:05}.png" for n in range(3)]
    refused = Result(
        Status.REJECTED, MODEL, code="no-head", message="No head.", file=FileIdentity(sha256="c")
    )
    for claimed, result in zip(claims, [measured("a"), measured("b", 100), refused], strict=True):
        assert finish(database, claimed, result) is result.status

    rows = list(select_rows(database))
    assert [row.status for row in rows] == ["measured", "measured", "rejected"]
    assert [row.sizes.hc_mm for row in rows] == [250.0, 100.0, None]
    assert [row.sizes.hc_low_mm for row in rows] == [246.0, 96.0, None]
    assert [row.sizes.hc_high_mm for row in rows] == [256.0, 106.0, None]
    assert rows[0].ellipse.flags == ("border", "zoom")
    assert rows[0].measured_at is not None
    assert rows[0].measured_at.utcoffset() is not None
    assert (rows[2].code, rows[2].message) == ("no-head", "No head.")
    present = progress(database, batch_of(database))
    assert present.finished
    assert present.counts[Status.MEASURED] == 2


def test_a_scan_belongs_to_one_owner_at_a_time(database: Database) -> None:
    ids = submit(database, 2)
    assert len(claim(database, ids[:1], "host:1:a", lease_s=LEASE_S)) == 1
    assert [c.scan_id for c in claim(database, ids, "host:2:b", lease_s=LEASE_S)] == ids[1:]
    assert claim(database, ids, "host:3:c", lease_s=LEASE_S) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_another_is_just_taking_is_passed_over(database: Database) -> None:
    ids = submit(database, 4)
    with database.engine.connect() as other, ThreadPoolExecutor(1) as thread:
        other.execute(select(ScanRow.id).where(ScanRow.id.in_(ids[:2])).with_for_update())
        taken = thread.submit(claim, database, ids, "host:1:a", lease_s=LEASE_S)
        try:
            found = taken.result(timeout=60)
        finally:
            other.rollback()
    assert [claimed.scan_id for claimed in found] == ids[2:]


def test_an_expired_lease_can_be_taken_and_the_first_owner_stores_nothing(
    database: Database,
) -> None:
    (first,) = claim(database, submit(database, 1), "host:1:a", lease_s=LEASE_S)
    expire(database)
    assert claim(database, [first.scan_id], "host:2:b", lease_s=LEASE_S) == []
    (second,) = claim_next(database, first.batch_id, "host:2:b", lease_s=LEASE_S, limit=1)
    assert second.attempt == 2
    assert finish(database, first, measured("a", 1.0)) is None
    assert finish(database, second, measured("a", 2.0)) is Status.MEASURED
    assert [row.sizes.hc_mm for row in select_rows(database)] == [2.0]


def test_a_renewed_lease_does_not_expire(database: Database) -> None:
    ids = submit(database, 1)
    claim(database, ids, "host:1:a", lease_s=0.3)
    assert renew(database, "host:1:a", lease_s=LEASE_S) == 1
    time.sleep(0.4)
    assert free_expired(database) == 0
    assert claim(database, ids, "host:2:b", lease_s=LEASE_S) == []


def test_a_scan_that_kills_its_owner_each_time_fails_in_the_end(database: Database) -> None:
    ids = submit(database, 1)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        (claimed,) = claim(database, ids, f"host:{attempt}:a", lease_s=LEASE_S)
        assert claimed.attempt == attempt
        expire(database)
        assert free_expired(database) == 1
    assert claim(database, ids, "host:9:z", lease_s=LEASE_S) == []
    (row,) = select_rows(database)
    assert (row.status, row.code, row.attempts) == ("failed", "crashed-worker", MAX_ATTEMPTS)
    assert row.message == str(CrashedWorker())
    with database.reading() as connection:
        events = connection.scalars(select(AttemptRow.event).order_by(AttemptRow.id)).all()
    assert events == ["claimed", "lost"] * MAX_ATTEMPTS


def test_what_a_stopped_worker_gives_back_costs_no_attempt(database: Database) -> None:
    ids = submit(database, 2)
    claim(database, ids, "host:1:a", lease_s=LEASE_S)
    assert give_back(database, "host:1:a") == 2
    assert [c.attempt for c in claim(database, ids, "host:2:b", lease_s=LEASE_S)] == [1, 1]
    assert give_back(database, "host:2:b", HcBatchError("KeyError")) == 2
    assert claim(database, ids, "host:3:c", lease_s=LEASE_S, untried=True) == []
    assert [c.attempt for c in claim(database, ids, "host:3:c", lease_s=LEASE_S)] == [2, 2]


def test_what_ends_together_has_each_its_own_end(database: Database) -> None:
    one, equal, lost, bad = claim(database, submit(database, 4), "host:1:a", lease_s=LEASE_S)
    taken = replace(lost, owner="host:2:b")
    refused = Result(Status.REJECTED, MODEL, code="no-head", file=FileIdentity(sha256="c"))
    ended = [(one, measured("same", 200.0)), (equal, measured("same", 201.0))]
    ended += [(taken, measured("b")), (bad, refused)]
    states = claims.finish(database, ended)
    assert states == [Status.MEASURED, Status.DUPLICATE, None, Status.REJECTED]
    first, second, third, last = select_rows(database)
    assert (second.status, second.sizes.hc_mm) == ("duplicate", first.sizes.hc_mm)
    assert second.duplicate_of == one.scan_id
    assert (third.status, third.measured_at) == ("running", None)
    assert last.code == "no-head"
    assert claims.finish(database, []) == []


def test_equal_content_is_measured_once(database: Database) -> None:
    one, two, other_frame = claim(database, submit(database, 3), "host:1:a", lease_s=LEASE_S)
    assert first_measured(database, "same", 0, None, False, MODEL) is None
    assert finish(database, one, measured("same", 200.0)) is Status.MEASURED
    assert first_measured(database, "same", 0, None, False, MODEL) == one.scan_id
    assert first_measured(database, "same", 0, Spacing(0.1, 0.1), False, MODEL) is None
    assert first_measured(database, "same", 0, None, False, "another model") is None
    assert finish(database, two, measured("same", 201.0)) is Status.DUPLICATE
    assert finish(database, replace(other_frame, frame=1), measured("same")) is Status.MEASURED
    duplicate = list(select_rows(database))[1]
    assert (duplicate.status, duplicate.sizes.hc_mm) == ("duplicate", 200.0)
    assert duplicate.duplicate_of == one.scan_id


def test_what_a_person_vouches_for_is_no_duplicate_of_what_the_gate_decided(
    database: Database,
) -> None:
    batch = open_batch(database, BatchKind.SUBMIT, "key", "/scans")
    scans = [NewScan("/a.png"), NewScan("/b.png", any_plane=True)]
    ids = insert_scans(database, batch, scans, published=True)
    plain, vouched = claim(database, ids, "host:1:a", lease_s=LEASE_S)
    assert (plain.any_plane, vouched.any_plane) == (False, True)
    assert finish(database, plain, measured("same", 200.0)) is Status.MEASURED
    assert first_measured(database, "same", 0, None, True, MODEL) is None
    told = replace(measured("same", 200.0), head_plane=HeadPlane("abdomen", 0.75, "manual"))
    assert finish(database, vouched, told) is Status.MEASURED
    rows = list(select_rows(database))
    assert [row.head_plane.plane_source for row in rows] == [None, "manual"]
    assert (rows[1].head_plane.plane, rows[1].head_plane.plane_confidence) == ("abdomen", 0.75)


def test_a_reader_that_recognised_the_content_ends_as_duplicate(database: Database) -> None:
    one, two = claim(database, submit(database, 2), "host:1:a", lease_s=LEASE_S)
    finish(database, one, measured("same", 200.0))
    assert (
        finish(database, two, Result(Status.DUPLICATE, MODEL, file=FileIdentity(sha256="same")))
        is Status.DUPLICATE
    )
    assert [row.sizes.hc_mm for row in select_rows(database)] == [200.0, 200.0]


def test_the_same_request_continues_its_unfinished_batch(database: Database) -> None:
    ids = submit(database, 3)
    batch = batch_of(database)
    assert submit(database, 3) == []
    for claimed in claim(database, ids, "host:1:a", lease_s=LEASE_S):
        finish(database, claimed, measured(claimed.source))
    assert len(submit(database, 3)) == 3
    again = batch_of(database)
    assert again != batch
    assert open_batch(database, BatchKind.SUBMIT, "other", "/x") not in (batch, again)


@pytest.mark.parametrize("kind", [BatchKind.SUBMIT, BatchKind.WATCH])
def test_those_who_ask_at_once_get_one_batch(database: Database, kind: BatchKind) -> None:
    together = threading.Barrier(8)

    def open_one(number: int) -> str:
        together.wait()
        return open_batch(database, kind, f"key {number}", "/scans")

    with ThreadPoolExecutor(8) as threads:
        for number in range(5):
            assert len(set(threads.map(open_one, [number] * 8))) == 1


def test_a_batch_of_run_is_claimed_by_batch_and_never_published(database: Database) -> None:
    submit(database, 5, BatchKind.RUN)
    batch = batch_of(database)
    assert take_unpublished(database, list_empty=True, grace_s=-1) == []
    first = claim_next(database, batch, "host:1:a", lease_s=LEASE_S, limit=2, untried=True)
    rest = claim_next(database, batch, "host:1:a", lease_s=LEASE_S, limit=9, untried=True)
    assert [len(first), len(rest)] == [2, 3]


def test_what_waits_is_claimed_whatever_message_it_is_in(database: Database) -> None:
    submit(database, 2, BatchKind.RUN)
    tried, *waiting = submit(database, 4, key="other")
    claim(database, [tried], "host:1:a", lease_s=LEASE_S)
    give_back(database, "host:1:a", CrashedWorker())
    first = claim_waiting(database, "host:1:b", lease_s=LEASE_S, limit=2)
    rest = claim_waiting(database, "host:1:b", lease_s=LEASE_S, limit=9)
    assert [each.scan_id for each in first + rest] == waiting


def test_lost_messages_are_found(database: Database) -> None:
    ids = submit(database, 3)
    assert take_unpublished(database, list_empty=False, grace_s=0) == []
    assert take_unpublished(database, list_empty=True, grace_s=60) == []
    assert take_unpublished(database, list_empty=True, grace_s=-1) == ids
    claim(database, ids[:1], "host:1:a", lease_s=LEASE_S)
    give_back(database, "host:1:a")
    assert take_unpublished(database, list_empty=False, grace_s=0) == ids[:1]


def test_a_message_overtaken_by_a_later_one_is_lost(database: Database) -> None:
    early = submit(database, 2)
    time.sleep(0.2)
    late = submit(database, 1, key="later")
    claim(database, late, "host:1:a", lease_s=LEASE_S)
    assert take_unpublished(database, list_empty=False, grace_s=60) == []
    assert take_unpublished(database, list_empty=False, grace_s=0.1) == early


def test_requeue_tries_failed_and_rejected_scans_again(database: Database) -> None:
    ids = submit(database, 3, BatchKind.RUN)
    batch = batch_of(database)
    good, refused, _ = claim(database, ids, "host:1:a", lease_s=LEASE_S)
    finish(database, good, measured("a"))
    finish(
        database,
        refused,
        Result(Status.REJECTED, MODEL, code="no-head", file=FileIdentity(sha256="b")),
    )
    assert requeue(database, batch, [Status.FAILED]) == 0
    assert requeue(database, batch, [Status.REJECTED, Status.MEASURED]) == 1
    assert take_unpublished(database, list_empty=False, grace_s=60) == [refused.scan_id]
    (again,) = claim(database, ids, "host:2:b", lease_s=LEASE_S)
    assert finish(database, again, measured("b")) is Status.MEASURED
    assert [row.code for row in select_rows(database)] == [None, None, None]
    with pytest.raises(BatchUnknown):
        requeue(database, "nothing")


def test_requeue_by_code_and_by_age_reaches_all_batches(database: Database) -> None:
    one, two = (
        claim(database, submit(database, 2, BatchKind.RUN, key), f"host:1:{key}", lease_s=LEASE_S)
        for key in ("one", "two")
    )
    for claimed, code in zip(one + two, ["no-head", "file-damaged"] * 2, strict=True):
        finish(database, claimed, Result(Status.REJECTED, MODEL, code=code))
    assert requeue(database, None, code="no-head", older_than_s=60) == 0
    assert requeue(database, None, code="no-head", older_than_s=-1) == 2
    assert requeue(database, batch_of(database), code="no-head") == 0
    found = counts(database)
    assert (found[Status.QUEUED], found[Status.REJECTED]) == (2, 2)
    assert take_unpublished(database, list_empty=False, grace_s=60) == [
        one[0].scan_id,
        two[0].scan_id,
    ]


def test_a_cancelled_batch_is_finished_and_its_worker_stores_nothing(database: Database) -> None:
    ids = submit(database, 3)
    batch = batch_of(database)
    done, held = claim(database, ids[:2], "host:1:a", lease_s=LEASE_S)
    finish(database, done, measured("a"))
    other = submit(database, 1, key="other")
    assert cancel(database, batch) == 2
    assert finish(database, held, measured("b")) is None
    assert give_back(database, "host:1:a") == 0
    assert claim(database, ids, "host:2:b", lease_s=LEASE_S) == []
    assert progress(database, batch).finished
    rows = list(select_rows(database, Filter(batch=batch)))
    assert [(row.status, row.code) for row in rows] == [
        ("measured", None),
        ("rejected", "cancelled"),
        ("rejected", "cancelled"),
    ]
    assert cancel(database, batch) == 0
    assert len(claim(database, other, "host:2:b", lease_s=LEASE_S)) == 1
    assert requeue(database, batch, code="cancelled") == 2
    assert len(claim(database, ids, "host:3:c", lease_s=LEASE_S)) == 2
    with pytest.raises(BatchUnknown):
        cancel(database, "nothing")


def test_cancel_closes_an_interrupted_intake(database: Database) -> None:
    batch = open_batch(database, BatchKind.SUBMIT, "key", "/scans")
    insert_scans(database, batch, [NewScan("/scans/a.png")], published=False)
    assert cancel(database, batch) == 1
    assert progress(database, batch).finished
    assert open_batch(database, BatchKind.SUBMIT, "key", "/scans") != batch


def test_owners_known_to_be_dead_lose_their_scans(database: Database) -> None:
    ids = submit(database, 2)
    claim(database, ids[:1], "host:1:a", lease_s=LEASE_S)
    claim(database, ids[1:], "host:2:b", lease_s=LEASE_S)
    assert sorted(present_owners(database)) == ["host:1:a", "host:2:b"]
    assert free_dead(database, []) == 0
    assert free_dead(database, ["host:1:a"]) == 1
    assert present_owners(database) == ["host:2:b"]


def test_rows_are_filtered_ordered_and_limited(database: Database) -> None:
    ids = submit(database, 12)
    (first, *_) = claim(database, ids[:1], "host:1:a", lease_s=LEASE_S)
    finish(database, first, measured("a"))

    def sources(which: Filter = Filter(), **how: object) -> list[str]:  # noqa: B008
        return [row.source[-6:-4] for row in select_rows(database, which, **how)]  # type: ignore[arg-type]

    assert sources(limit=2, newest_first=True) == ["11", "10"]
    assert sources(Filter(statuses=[Status.MEASURED])) == ["00"]
    assert sources(Filter(source="0001")) == ["01", "10", "11"]
    assert sources(Filter(source="*/0000?.png")) == [f"{n:02}" for n in range(10)]
    assert sources(Filter(source="%")) == []
    assert sources(Filter(batch="none")) == []
    assert len(sources(Filter(batch=batch_of(database)))) == 12
    (row,) = select_rows(database, Filter(statuses=[Status.MEASURED]))
    assert row.measured_at is not None
    assert sources(Filter(since=row.measured_at, statuses=[Status.QUEUED])) == []
    assert len(sources(Filter(until=row.measured_at))) == 11


def test_every_field_of_a_result_is_stored() -> None:
    stored = {column.name for column in columns_of(Result)}
    assert stored <= set(RESULT_COLUMNS.keys())
    assert stored <= set(COLUMNS)


def test_a_batch_is_found_by_name_beginning_or_as_the_last(database: Database) -> None:
    with pytest.raises(BatchUnknown, match="last"):
        find_batch(database, "last")
    with database.writing() as connection:
        for day, name in enumerate(("20260131-a", "20260131-ab", "20260201-c"), 1):
            made = datetime(2026, 1, day, tzinfo=UTC)
            row = {
                "id": name,
                "kind": "run",
                "request_key": name,
                "label": "/x",
                "created_at": made,
            }
            connection.execute(insert(BatchRow).values(row))
    assert find_batch(database, "last") == "20260201-c"
    assert find_batch(database, "202602") == find_batch(database, "20260201-c") == "20260201-c"
    assert find_batch(database, "20260131-a") == "20260131-a"
    with pytest.raises(BatchAmbiguous, match="2 begin with 20260131"):
        find_batch(database, "20260131")
    for name in ("", "%", "_", "2026%", "nothing", "20260201-c ", "\udcff", "'"):
        with pytest.raises(BatchUnknown):
            find_batch(database, name)


def test_a_request_whose_path_is_no_text_has_a_batch(database: Database) -> None:
    batch = open_batch(database, BatchKind.WATCH, "/in/\udcff", "/in/\udcff")
    assert open_batch(database, BatchKind.WATCH, "/in/\udcff", "/in/\udcff") == batch
    assert latest_batches(database)[0].label == "/in/\\udcff"


def test_refusals_and_skips_are_counted_by_code(database: Database) -> None:
    ids = submit(database, 4)
    batch = batch_of(database)
    codes = ["no-head", "file-damaged", "no-head", None]
    for claimed, code in zip(claim(database, ids, "h:1:a", lease_s=LEASE_S), codes, strict=True):
        refused = Result(Status.REJECTED, MODEL, code=code)
        finish(database, claimed, refused if code else measured("a"))
    assert list(refusals_by_code(database, batch).items()) == [("no-head", 2), ("file-damaged", 1)]
    skips = [NewSkip("/a.txt", "text", "a text file"), NewSkip("/b.txt", "text", "a text file")]
    others = [NewSkip("/c", "folder", "a folder"), NewSkip("/d", "folder", "not asked for")]
    insert_skipped(database, batch, [*others, NewSkip("/e.txt", "text", "a text file"), *skips])
    assert list(skips_by_code(database, batch).items()) == [
        ("text", (3, "a text file")),
        ("folder", (2, "")),
    ]


def test_only_batches_for_workers_wait_for_them(database: Database) -> None:
    assert not waits_for_workers(database)
    submit(database, 1, BatchKind.RUN, "run")
    own = batch_of(database)
    assert not waits_for_workers(database)
    submit(database, 1, BatchKind.SUBMIT, "submit")
    assert waits_for_workers(database)
    assert not waits_for_workers(database, own)


def test_skipped_files_are_named(database: Database) -> None:
    batch = open_batch(database, BatchKind.SUBMIT, "k", "/scans")
    skips = [NewSkip("/scans/a.txt", "not-an-image", "text"), NewSkip("/b", "x", "y")]
    insert_skipped(database, batch, skips)
    insert_skipped(database, batch, skips)
    assert skipped_files(database, batch) == skips
    assert progress(database, batch).skipped == 2


def test_waiting_ends_with_the_batch_or_the_time(database: Database) -> None:
    ids = submit(database, 1)
    batch = batch_of(database)
    seen: list[int] = []
    late = wait(database, batch, 0.2, lambda present: seen.append(present.pending), poll_s=0.1)
    assert not late.finished
    assert set(seen) == {1}
    (claimed,) = claim(database, ids, "host:1:a", lease_s=LEASE_S)
    finish(database, claimed, measured("a"))
    assert wait(database, batch, 10).finished
    with pytest.raises(BatchUnknown):
        wait(database, "nothing")


def compete(settings: Settings, owner: str, ids: Sequence[int]) -> None:
    """A process that claims and measures what it can; every content exists twice."""
    with open_database(settings) as database:
        for start in range(0, len(ids), 7):
            for claimed in claim(database, ids[start : start + 7], owner, lease_s=LEASE_S):
                content = str(int(claimed.source[-9:-4]) // 2)
                assert finish(database, claimed, measured(content)) is not None


def test_processes_at_once_store_one_result_per_scan_and_content(
    settings: Settings, database: Database
) -> None:
    ids = submit(database, 120)
    context = multiprocessing.get_context("spawn")
    rivals = [
        context.Process(target=compete, args=(settings, f"host:{number}:a", order))
        for number, order in enumerate([ids, ids[::-1], ids[60:] + ids[:60]])
    ]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()
        assert rival.exitcode == 0
    found = counts(database)
    assert found[Status.MEASURED] == found[Status.DUPLICATE] == 60
    with database.reading() as connection:
        attempts = connection.scalar(select(func.max(ScanRow.attempts)))
        keys = Counter(connection.scalars(select(ResultRow.content_key)))
    assert attempts == 1
    assert set(keys.values()) == {1}


def create(settings: Settings) -> None:
    with open_database(settings):
        pass


def test_processes_that_start_at_once_share_one_new_database(settings: Settings) -> None:
    context = multiprocessing.get_context("spawn")
    starters = [context.Process(target=create, args=(settings,)) for _ in range(3)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()
    assert [starter.exitcode for starter in starters] == [0] * 3
