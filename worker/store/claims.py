"""Who works on which scan: claimed with a lease, finished once, given back.

Every change of owner is one conditional statement or one transaction, by the database's clock.
What a claim does not return belongs to someone else or is done, so a message may come twice,
late, or not at all.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Text,
    and_,
    bindparam,
    case,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute

from hcmodel.spacing import Spacing
from worker import failpoint
from worker.columns import flattened
from worker.errors import HcBatchError
from worker.result import HeadEllipse, HeadPlane, HeadSizes, Result, Status
from worker.store.batches import BatchKind
from worker.store.clock import now
from worker.store.session import Database
from worker.store.states import Event, sources
from worker.store.tables import RESULT_COLUMNS, AttemptRow, BatchRow, ResultRow, ScanRow

# The first loss may be a neighbour's fault, the second one chance: a third has no other reason.
MAX_ATTEMPTS = 3

_MEASURED = (Status.MEASURED, Status.FLAGGED)

# What every scan has that nobody works on.
NOBODYS: dict[str, Any] = {"owner": None, "lease_until": None, "changed_at": now()}


@dataclass(frozen=True, slots=True)
class Claim:
    """A scan that its owner alone may finish, as long as the lease is renewed."""

    scan_id: int
    batch_id: str
    source: str
    frame: int
    manual: Spacing | None
    any_plane: bool
    attempt: int
    owner: str


def claim(
    database: Database,
    scan_ids: Sequence[int],
    owner: str,
    *,
    lease_s: float,
    limit: int | None = None,
    untried: bool = False,
) -> list[Claim]:
    """Take those of the scans that are queued; ``untried`` only those at their first attempt.

    A lease that has run out is the reconciler's to judge: after an outage its owner may live.
    """
    where = [ScanRow.id.in_(scan_ids), ScanRow.state == Status.QUEUED]
    return _claim(database, owner, lease_s, where, untried, limit)


def claim_next(
    database: Database,
    batch_id: str,
    owner: str,
    *,
    lease_s: float,
    limit: int,
    untried: bool = False,
) -> list[Claim]:
    """Take the next free scans of a batch: queued ones, and those whose lease has run out."""
    expired = and_(ScanRow.state == Status.RUNNING, ScanRow.lease_until < now())
    where = [ScanRow.batch_id == batch_id, or_(ScanRow.state == Status.QUEUED, expired)]
    return _claim(database, owner, lease_s, where, untried, limit)


def claim_waiting(database: Database, owner: str, *, lease_s: float, limit: int) -> list[Claim]:
    """Take untried scans that wait for a worker, whatever message they are in."""
    of_workers = ScanRow.batch_id.in_(select(BatchRow.id).where(BatchRow.kind != BatchKind.RUN))
    waiting = [ScanRow.state == Status.QUEUED, ScanRow.attempts == 0, of_workers]
    return _take(database, owner, lease_s, waiting, [ScanRow.published_at, ScanRow.id], limit)


def _claim(
    database: Database,
    owner: str,
    lease_s: float,
    where: list[ColumnElement[bool]],
    untried: bool,
    limit: int | None,
) -> list[Claim]:
    tried = ScanRow.attempts == 0 if untried else ScanRow.attempts < MAX_ATTEMPTS
    return _take(database, owner, lease_s, [*where, tried], [ScanRow.id], limit)


def _take(
    database: Database,
    owner: str,
    lease_s: float,
    where: list[ColumnElement[bool]],
    order: Sequence[InstrumentedAttribute[Any]],
    limit: int | None,
) -> list[Claim]:
    # Locked past what others hold: two claims never wait for each other. As a CTE it runs once;
    # PostgreSQL may run a subquery again, past the limit.
    chosen = (
        select(ScanRow.id)
        .where(*where)
        .order_by(*order)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    with database.writing() as connection:
        rows = connection.execute(
            update(ScanRow)
            .where(ScanRow.id.in_(select(chosen.c.id)))
            .values(
                state=Status.RUNNING,
                attempts=ScanRow.attempts + 1,
                owner=owner,
                lease_until=now(lease_s),
                changed_at=now(),
            )
            .returning(
                ScanRow.id,
                ScanRow.batch_id,
                ScanRow.source,
                ScanRow.frame,
                ScanRow.manual_row_mm,
                ScanRow.manual_column_mm,
                ScanRow.any_plane,
                ScanRow.attempts,
            )
        ).all()
        claims = sorted((_as_claim(row, owner) for row in rows), key=lambda c: c.scan_id)
        record(connection, Event.CLAIMED, [(c.scan_id, c.attempt, owner, None) for c in claims])
    return claims


def _as_claim(row: Row[*tuple[Any, ...]], owner: str) -> Claim:
    scan_id, batch_id, source, frame, row_mm, column_mm, any_plane, attempt = row
    manual = None if row_mm is None else Spacing(row_mm, column_mm)
    return Claim(scan_id, batch_id, source, frame, manual, any_plane, attempt, owner)


def renew(database: Database, owner: str, *, lease_s: float) -> int:
    """Prolong the leases of all that the owner works on; return how many."""
    with database.writing() as connection:
        return connection.execute(
            update(ScanRow)
            .where(ScanRow.owner == owner, ScanRow.state == Status.RUNNING)
            .values(lease_until=now(lease_s))
        ).rowcount


def finish(database: Database, ended: Sequence[tuple[Claim, Result]]) -> list[Status | None]:
    """Store results and end their scans, all in one transaction.

    Return the states reached: ``DUPLICATE`` where the same content was measured meanwhile, and
    ``None`` where a scan is no longer the owner's, which then stores nothing.
    """
    with database.writing() as connection:
        held = _held(connection, [claimed for claimed, _ in ended])
        stored = _store(database, connection, [each for each in ended if each[0] in held])
        final = [
            (claimed, result, None)
            if claimed in stored
            else (claimed, *_duplicate(connection, claimed, result))
            for claimed, result in ended
            if claimed in held
        ]
        if final:
            connection.execute(_END, [_ended(*each) for each in final])
        record(
            connection,
            Event.FINISHED,
            [
                (claimed.scan_id, claimed.attempt, claimed.owner, result.code or result.status)
                for claimed, result, _ in final
            ],
        )
        failpoint.hit("before-commit")
    states = {claimed: result.status for claimed, result, _ in final}
    return [states.get(claimed) for claimed, _ in ended]


_END = update(ScanRow).where(ScanRow.id == bindparam("ended_id")).values(**NOBODYS)


def _ended(claimed: Claim, result: Result, original: int | None) -> dict[str, object]:
    return {
        "ended_id": claimed.scan_id,
        "state": result.status,
        "code": result.code,
        "message": result.message,
        "sha256": result.file.sha256,
        "model": result.model,
        "duplicate_of": original,
        "hc_mm": result.sizes.hc_mm,
        "plane": result.head_plane.plane,
        "flags": " ".join(result.ellipse.flags) or None,
    }


def give_back(database: Database, owner: str, because: HcBatchError | None = None) -> int:
    """Free all that the owner still holds; return how many.

    Without an error the attempt does not count (a worker was stopped). With one it does, and a
    scan that has used up its attempts fails with it.
    """
    if because is not None:
        return free(database, [ScanRow.owner == owner], because)
    with database.writing() as connection:
        rows = connection.execute(
            update(ScanRow)
            .where(ScanRow.owner == owner, ScanRow.state.in_(sources(Event.GIVEN_BACK)))
            .values(
                **NOBODYS, state=Status.QUEUED, attempts=ScanRow.attempts - 1, published_at=None
            )
            .returning(ScanRow.id, ScanRow.attempts)
        ).all()
        gone = [(row.id, row.attempts + 1, owner, None) for row in rows]
        record(connection, Event.GIVEN_BACK, gone)
    return len(rows)


def free(database: Database, where: Sequence[ColumnElement[bool]], because: HcBatchError) -> int:
    """Queue lost scans again, or end them as failed where no attempt is left; return how many.

    What is lost at its last attempt, alone, has itself to blame: its neighbours went on.
    """
    spent = ScanRow.attempts >= MAX_ATTEMPTS
    with database.writing() as connection:
        held = (
            select(ScanRow.id)
            .where(ScanRow.state.in_(sources(Event.LOST)), *where)
            .with_for_update(skip_locked=True)
            .cte("held")
        )
        rows = connection.execute(
            update(ScanRow)
            .where(ScanRow.id.in_(select(held.c.id)))
            .values(
                **NOBODYS,
                state=case((spent, Status.FAILED), else_=Status.QUEUED),
                code=case((spent, because.code)),
                message=case((spent, str(because))),
                published_at=None,
            )
            .returning(ScanRow.id, ScanRow.attempts)
        ).all()
        record(connection, Event.LOST, [(row.id, row.attempts, None, because.code) for row in rows])
    return len(rows)


def find_measured(
    database: Database, keys: Collection[str | None], model: str
) -> dict[str | None, int]:
    """Return the scans under which this model measured some of these, by ``content_key``."""
    with database.reading() as connection:
        rows = connection.execute(_MEASURED_BEFORE, {"keys": list(keys), "by": model})
        return {row.content_key: row.scan_id for row in rows}


def content_key(
    sha256: str | None, frame: int, manual: Spacing | None, any_plane: bool
) -> str | None:
    """Return what is equal for scans that must come out equal: bytes, frame and what was said."""
    if sha256 is None:
        return None
    size_mm = "" if manual is None else f"{manual.row_mm!r}x{manual.column_mm!r}"
    return f"{sha256}:{frame}:{size_mm}" + (":any-plane" if any_plane else "")


def record(
    connection: Connection, event: Event, of: Sequence[tuple[int, int, str | None, str | None]]
) -> None:
    """Add to the history, for each scan: its id, attempt, owner and code."""
    if of:
        keys = ("scan_id", "number", "owner", "code")
        connection.execute(
            insert(AttemptRow), [dict(zip(keys, line, strict=True), event=event) for line in of]
        )


def _held(connection: Connection, claims: Sequence[Claim]) -> set[Claim]:
    """Return the claims whose scans are still their owner's, and keep them so to the end."""
    rows = connection.execute(
        select(ScanRow.id, ScanRow.owner, ScanRow.attempts)
        .where(
            ScanRow.id.in_([claimed.scan_id for claimed in claims]),
            ScanRow.state.in_(sources(Event.FINISHED)),
        )
        .order_by(ScanRow.id)
        .with_for_update()
    )
    held = {(row.id, row.owner, row.attempts) for row in rows}
    return {each for each in claims if (each.scan_id, each.owner, each.attempt) in held}


def _store(
    database: Database, connection: Connection, ended: Sequence[tuple[Claim, Result]]
) -> set[Claim]:
    """Return those whose result is now there: not where another scan has the same content's."""
    rows = [
        flattened(result)
        | {
            "scan_id": claimed.scan_id,
            "content_key": _key(claimed, result) if result.status in _MEASURED else None,
        }
        for claimed, result in ended
        if result.status is not Status.DUPLICATE
    ]
    if not rows:
        return set()
    # A second worker with the same content waits here for the first one's commit; in one order, or
    # two of them might wait for each other.
    rows.sort(key=lambda row: row["content_key"] or "")
    statement = database.insert_new(ResultRow).returning(ResultRow.scan_id)
    stored = set(connection.scalars(statement, rows))
    return {claimed for claimed, _ in ended if claimed.scan_id in stored}


def _duplicate(connection: Connection, claimed: Claim, result: Result) -> tuple[Result, int | None]:
    """Return the result of a scan whose content was measured, and the scan of the first one."""
    same = {"keys": [_key(claimed, result)], "by": result.model}
    first = connection.execute(_MEASURED_BEFORE, same).one_or_none()
    _, original, hc_mm, plane, flags = first or (None, None, None, None, ())
    repeated = Result(
        Status.DUPLICATE,
        result.model,
        sizes=HeadSizes(hc_mm),
        ellipse=HeadEllipse(flags=flags),
        file=result.file,
        head_plane=HeadPlane(plane),
    )
    return repeated, original


def _key(claimed: Claim, result: Result) -> str | None:
    return content_key(result.file.sha256, claimed.frame, claimed.manual, claimed.any_plane)


# Asked all the time: built once.
_COPIED = [RESULT_COLUMNS[name] for name in ("hc_mm", "plane", "flags")]
_MEASURED_BEFORE = select(ResultRow.content_key, ResultRow.scan_id, *_COPIED).where(
    ResultRow.content_key.in_(bindparam("keys", type_=Text, expanding=True)),
    RESULT_COLUMNS["model"] == bindparam("by"),
)
