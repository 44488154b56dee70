"""The ledger under any order of events: work goes on, one result, and a history that tells all."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)
from sqlalchemy import Row, func, select, update

from rig.ending import finish
from worker.errors import CrashedWorker
from worker.result import FileIdentity, HeadEllipse, HeadPlane, HeadSizes, Result, Status
from worker.store.batches import BatchKind, NewScan, finish_intake, insert_scans, open_batch
from worker.store.claims import MAX_ATTEMPTS, Claim, claim, claim_next, give_back
from worker.store.clock import now
from worker.store.progress import progress
from worker.store.recovery import cancel, free_expired, requeue, take_unpublished
from worker.store.rows import select_rows
from worker.store.session import Database, make_engine
from worker.store.states import TRANSITIONS, Event
from worker.store.tables import AttemptRow, ResultRow, ScanRow

MODEL = "hc-test-1"
SCANS = 3
WAYS = {(before, after) for before, _, after in TRANSITIONS}
MEASURED = (Status.MEASURED, Status.FLAGGED)
ENDS = st.sampled_from([Status.MEASURED, Status.FLAGGED, Status.REJECTED, Status.FAILED])
OWNERS = st.sampled_from(["host:1:1:a", "host:1:2:b"])
LAST_OWNER = "host:1:3:c"


def retold(lines: list[Row[tuple[object, ...]]]) -> tuple[Status, int, str | None]:
    """A scan's state, attempts and owner after the lines of its history."""
    state, attempts, owner = Status.QUEUED, 0, None
    for line in lines:
        event = Event(line.event)
        assert state in {before for before, by, _ in TRANSITIONS if by is event}
        attempts += event is Event.CLAIMED
        assert line.number == attempts
        if event is Event.CLAIMED:
            state, owner = Status.RUNNING, line.owner
            continue
        if event in (Event.FINISHED, Event.GIVEN_BACK):
            assert line.owner == owner
        owner = None
        if event is Event.FINISHED:
            state = Status(line.code)
        elif event is Event.CANCELLED:
            state = Status.REJECTED
        elif event is Event.LOST and attempts == MAX_ATTEMPTS:
            state = Status.FAILED
        else:
            state = Status.QUEUED
        attempts -= event is Event.GIVEN_BACK
        attempts *= event is not Event.REQUEUED
    return state, attempts, owner


class Ledger(RuleBasedStateMachine):
    """Owners that claim, finish late, die, are cancelled; three scans."""

    claims = Bundle("claims")
    empty_ledger: Path

    @initialize()
    def submit(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "ledger.sqlite3"
        shutil.copy(self.empty_ledger, path)
        self.database = Database(make_engine(f"sqlite:///{path}"))
        self.batch = open_batch(self.database, BatchKind.SUBMIT, "key", "/scans")
        scans = [NewScan(f"/scans/{number}.png") for number in range(SCANS)]
        self.ids = insert_scans(self.database, self.batch, scans, published=True)
        finish_intake(self.database, self.batch)
        self.states = dict.fromkeys(self.ids, Status.QUEUED)

    def teardown(self) -> None:
        if hasattr(self, "database"):
            try:
                self.one_worker_that_lives_ends_all()
            finally:
                self.database.close()
                self.folder.cleanup()

    def one_worker_that_lives_ends_all(self) -> None:
        """Whatever happened: those who hold a scan are gone, and one that lives does the rest."""
        self.leases_run_out()
        free_expired(self.database)
        self.all_holds()
        taken = claim(self.database, self.ids, LAST_OWNER, lease_s=60)
        self.all_holds()
        for claimed in taken:
            file = FileIdentity(sha256=f"last {claimed.scan_id}")
            ended = finish(self.database, claimed, Result(Status.MEASURED, MODEL, file=file))
            assert ended is Status.MEASURED
        self.all_have_ended()
        self.all_holds()

    def all_have_ended(self) -> None:
        known = progress(self.database, self.batch)
        assert (known.finished, known.pending, known.total) == (True, 0, SCANS)

    @rule(target=claims, owner=OWNERS, limit=st.integers(1, SCANS), untried=st.booleans())
    def claim(self, owner: str, limit: int, untried: bool) -> object:
        taken = claim(self.database, self.ids, owner, lease_s=60, limit=limit, untried=untried)
        if untried:
            assert all(each.attempt == 1 for each in taken)
        return multiple(*taken)

    @rule(target=claims, owner=OWNERS, limit=st.integers(1, SCANS), untried=st.booleans())
    def claim_next(self, owner: str, limit: int, untried: bool) -> object:
        taken = claim_next(
            self.database, self.batch, owner, lease_s=60, limit=limit, untried=untried
        )
        if untried:
            assert all(each.attempt == 1 for each in taken)
        return multiple(*taken)

    # Never consumed: a claim may be finished again, or long after it was lost.
    @rule(claimed=claims, status=ENDS, content=st.sampled_from("abc"))
    def finish(self, claimed: Claim, status: Status, content: str) -> None:
        before = self.read(claimed.scan_id)
        result = Result(
            status,
            MODEL,
            sizes=HeadSizes(175.5 if status in MEASURED else None),
            ellipse=HeadEllipse(flags=("weak-fit", "plane-unsure")[: ord(content) - ord("a")]),
            file=FileIdentity(sha256=content),
            head_plane=HeadPlane(content),
        )
        reached = finish(self.database, claimed, result)
        held = (before.state, before.owner, before.attempts) == (
            Status.RUNNING,
            claimed.owner,
            claimed.attempt,
        )
        assert (reached is not None) == held

    @rule(target=claims, claimed=claims, thief=OWNERS, status=ENDS)
    def finish_after_a_takeover(self, claimed: Claim, thief: str, status: Status) -> object:
        self.leases_run_out(claimed.owner)
        free_expired(self.database)
        taken = claim(self.database, [claimed.scan_id], thief, lease_s=60, limit=1)
        before = self.read(claimed.scan_id)
        # Equal to the old one where its owner gave it back and took it again: then it is valid.
        if taken and taken[0] != claimed:
            assert (
                finish(
                    self.database, claimed, Result(status, MODEL, file=FileIdentity(sha256="late"))
                )
                is None
            )
            assert self.read(claimed.scan_id) == before
        return multiple(*taken)

    @rule(claimed=consumes(claims))
    def give_back(self, claimed: Claim) -> None:
        give_back(self.database, claimed.owner)

    @rule(claimed=claims)
    def fail(self, claimed: Claim) -> None:
        give_back(self.database, claimed.owner, CrashedWorker())

    @rule(owner=OWNERS)
    def leases_run_out(self, owner: str | None = None) -> None:
        held = ScanRow.owner.is_not(None) if owner is None else ScanRow.owner == owner
        with self.database.writing() as connection:
            connection.execute(update(ScanRow).where(held).values(lease_until=now(-1)))

    @rule(owner=OWNERS)
    def all_workers_die_of_what_is_left(self, owner: str) -> None:
        """It costs three workers, or those of three takeovers, and not one more."""
        for _ in range(MAX_ATTEMPTS):
            claim_next(self.database, self.batch, owner, lease_s=60, limit=SCANS)
            self.all_holds()
            self.leases_run_out()
        assert claim_next(self.database, self.batch, owner, lease_s=60, limit=SCANS) == []
        free_expired(self.database)
        self.all_have_ended()

    @rule()
    def free_expired(self) -> None:
        free_expired(self.database)

    @rule()
    def cancel(self) -> None:
        cancel(self.database, self.batch)
        assert progress(self.database, self.batch).finished

    @rule(batch_known=st.booleans())
    def requeue(self, batch_known: bool) -> None:
        requeue(self.database, self.batch if batch_known else None)

    @rule()
    def publish(self) -> None:
        taken = take_unpublished(self.database, list_empty=True, grace_s=-1)
        assert taken == [each for each in self.ids if self.states[each] is Status.QUEUED]

    @invariant()
    def all_holds(self) -> None:
        self.only_ways_of_the_table()
        self.owned_exactly_while_running()
        self.one_result_per_scan_and_content()
        self.history_tells_the_present()
        self.filters_see_what_is_reported()

    def only_ways_of_the_table(self) -> None:
        with self.database.reading() as connection:
            rows = connection.execute(select(ScanRow.id, ScanRow.state)).all()
        assert len(rows) == SCANS
        for scan_id, text in rows:
            state = Status(text)
            if state is not self.states[scan_id]:
                assert (self.states[scan_id], state) in WAYS
            self.states[scan_id] = state

    def owned_exactly_while_running(self) -> None:
        with self.database.reading() as connection:
            for scan in connection.execute(select(ScanRow.__table__)):
                running = scan.state == Status.RUNNING
                assert (scan.owner is not None) == (scan.lease_until is not None) == running
                assert 0 <= scan.attempts <= MAX_ATTEMPTS
                # Else nobody would ever take it.
                assert scan.state != Status.QUEUED or scan.attempts < MAX_ATTEMPTS

    def one_result_per_scan_and_content(self) -> None:
        with self.database.reading() as connection:
            of_scan = select(func.count(ResultRow.id)).group_by(ResultRow.scan_id, ResultRow.model)
            of_content = (
                select(func.count(ResultRow.id))
                .where(ResultRow.content_key.is_not(None))
                .group_by(ResultRow.content_key, ResultRow.model)
            )
            assert set(connection.scalars(of_scan)) <= {1}
            assert set(connection.scalars(of_content)) <= {1}
            stored = set(connection.scalars(select(ResultRow.scan_id)))
        for scan_id, state in self.states.items():
            if state in MEASURED:
                assert scan_id in stored
            elif state in (Status.QUEUED, Status.RUNNING, Status.DUPLICATE):
                assert scan_id not in stored

    def history_tells_the_present(self) -> None:
        """From what is written there alone follow state, attempts and owner."""
        with self.database.reading() as connection:
            lines = connection.execute(select(AttemptRow.__table__).order_by(AttemptRow.id)).all()
            scans = connection.execute(select(ScanRow.__table__)).all()
        for scan in scans:
            told = retold([line for line in lines if line.scan_id == scan.id])
            assert told == (scan.state, scan.attempts, scan.owner)

    def filters_see_what_is_reported(self) -> None:
        for row in select_rows(self.database):
            scan = self.read(row.scan_id)
            reported = (row.sizes.hc_mm, row.head_plane.plane, " ".join(row.ellipse.flags) or None)
            assert (scan.hc_mm, scan.plane, scan.flags) == reported

    def read(self, scan_id: int) -> Row[tuple[object, ...]]:
        with self.database.reading() as connection:
            return connection.execute(select(ScanRow.__table__).where(ScanRow.id == scan_id)).one()


@pytest.fixture(scope="module", autouse=True)
def _made_once(empty_ledger: Path) -> None:
    Ledger.empty_ledger = empty_ledger


TestLedger = Ledger.TestCase
TestLedger.settings = settings(
    derandomize=True,  # the same orders in every run: what one run notices, all do
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
