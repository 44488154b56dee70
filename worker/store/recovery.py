"""What the ledger knows to be lost or left over, and how it comes back into the queue."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import timedelta

from sqlalchemy import (
    ColumnElement,
    Connection,
    bindparam,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)

from hcmodel.spacing import Spacing
from worker.errors import Cancelled, CrashedWorker
from worker.metrics import WORKER_LOST
from worker.result import Status
from worker.store.batches import BatchKind, require
from worker.store.claims import NOBODYS, free, record
from worker.store.clock import now
from worker.store.owner import is_known_dead
from worker.store.session import Database
from worker.store.states import Event, sources
from worker.store.tables import AttemptRow, BatchRow, ResultRow, ScanRow

REQUEUEABLE = sources(Event.REQUEUED)

_RECONCILE_LOCK = 0x6863_6262  # "hcbb"; any number that others do not use
_ROUND = 4096  # scans in one transaction, which makes writers wait


def free_lost(database: Database, *, expired: bool = True) -> int:
    """Take scans from owners that died or, where ``expired``, fell silent; return how many."""
    dead = [owner for owner in present_owners(database) if is_known_dead(owner)]
    freed = free_dead(database, dead) + (free_expired(database) if expired else 0)
    WORKER_LOST.inc(freed)
    return freed


def free_expired(database: Database) -> int:
    """Take scans from owners whose lease has run out; return how many."""
    return free(database, [ScanRow.lease_until < now()], CrashedWorker())


def free_dead(database: Database, owners: Collection[str]) -> int:
    """Take scans from owners that are known to be dead; return how many."""
    return free(database, [ScanRow.owner.in_(owners)], CrashedWorker()) if owners else 0


def present_owners(database: Database) -> list[str]:
    """Return who works on something at present."""
    with database.reading() as connection:
        owners = connection.scalars(
            select(ScanRow.owner).where(ScanRow.owner.is_not(None)).distinct()
        )
        return [owner for owner in owners if owner is not None]


def expired_owners(database: Database) -> list[str]:
    """Return whose leases have run out."""
    with database.reading() as connection:
        owners = connection.scalars(
            select(ScanRow.owner)
            .where(ScanRow.owner.is_not(None), ScanRow.lease_until < now())
            .distinct()
        )
        return [owner for owner in owners if owner is not None]


def take_unpublished(database: Database, *, list_empty: bool, grace_s: float) -> list[int]:
    """Mark scans as published whose message was never sent or is lost; return some ids at a time.

    A message is lost where the broker's list is empty and the scan still waits, and where a later
    message was taken first. The caller sends the ids; where it dies before, they are found again.
    """
    with database.writing() as connection:
        if not _alone(connection):
            return []
        lost: list[ColumnElement[bool]] = [ScanRow.published_at.is_(None)]
        if list_empty:
            lost.append(ScanRow.published_at < now(-grace_s))
        last_taken = connection.scalar(
            select(func.max(ScanRow.published_at)).where(ScanRow.state == Status.RUNNING)
        )
        if last_taken is not None:
            lost.append(ScanRow.published_at < last_taken - timedelta(seconds=grace_s))
        due = (
            select(ScanRow.id)
            .join(BatchRow, BatchRow.id == ScanRow.batch_id)
            .where(ScanRow.state == Status.QUEUED, BatchRow.kind != BatchKind.RUN, or_(*lost))
            .order_by(ScanRow.id)
            .limit(_ROUND)
            .with_for_update(of=ScanRow, skip_locked=True)
            .cte("due")
        )
        taken = connection.scalars(
            update(ScanRow)
            .where(ScanRow.id.in_(select(due.c.id)))
            .values(published_at=now())
            .returning(ScanRow.id)
        )
        return sorted(taken)


def requeue(
    database: Database,
    batch_id: str | None,
    statuses: Collection[Status] = REQUEUEABLE,
    code: str | None = None,
    older_than_s: float | None = None,
    size_of: Callable[[str], Spacing | None] | None = None,
) -> int:
    """Queue failed or rejected scans of a batch, or of all, once more; return how many.

    ``older_than_s``: only those that ended longer ago. ``size_of``: the pixel size that a person
    now gives for a source, or None where it stays as it was. Their results go, their history stays.
    Workers take a batch over, whoever began it. Raises ``BatchUnknown``.
    """
    again: list[ColumnElement[bool]] = [ScanRow.state.in_(set(statuses) & set(REQUEUEABLE))]
    if batch_id is not None:
        again.append(ScanRow.batch_id == batch_id)
    if code is not None:
        again.append(ScanRow.code == code)
    if older_than_s is not None:
        again.append(ScanRow.changed_at < now(-older_than_s))
    with database.writing() as connection:
        if batch_id is not None:
            require(connection, batch_id)
        if size_of is not None:
            _give_sizes(connection, again, size_of)
        return _queue_again(connection, again)


def _give_sizes(
    connection: Connection,
    again: Sequence[ColumnElement[bool]],
    size_of: Callable[[str], Spacing | None],
) -> None:
    rows = connection.execute(select(ScanRow.id, ScanRow.source).where(*again)).all()
    sizes = [(scan_id, size_of(source)) for scan_id, source in rows]
    given = [
        {"of_scan": scan_id, "row_mm": size.row_mm, "column_mm": size.column_mm}
        for scan_id, size in sizes
        if size is not None
    ]
    if given:
        connection.execute(
            update(ScanRow)
            .where(ScanRow.id == bindparam("of_scan"))
            .values(manual_row_mm=bindparam("row_mm"), manual_column_mm=bindparam("column_mm")),
            given,
        )


def retry_changed(
    database: Database, batch_id: str, source: str, version: str, new_version: str
) -> None:
    """Queue what was refused of a file once more, now that the file or its sidecar has changed.

    All rows of this version take the new one; what is measured, or at work, keeps its state.
    """
    of_file = (
        ScanRow.batch_id == batch_id,
        ScanRow.source == source,
        ScanRow.version == version,
    )
    with database.writing() as connection:
        _queue_again(connection, [*of_file, ScanRow.state.in_(REQUEUEABLE)])
        connection.execute(update(ScanRow).where(*of_file).values(version=new_version))


def _queue_again(connection: Connection, again: Sequence[ColumnElement[bool]]) -> int:
    """Queue ended scans once more; return how many. Their results go, their history stays."""
    ids = select(ScanRow.id).where(*again)
    connection.execute(
        update(BatchRow)
        .where(BatchRow.id.in_(select(ScanRow.batch_id).where(*again)))
        .values(kind=func.replace(BatchRow.kind, BatchKind.RUN, BatchKind.SUBMIT))
    )
    event = select(ScanRow.id, ScanRow.attempts, literal(Event.REQUEUED.value), ScanRow.code).where(
        *again
    )
    connection.execute(
        insert(AttemptRow).from_select(["scan_id", "number", "event", "code"], event)
    )
    connection.execute(delete(ResultRow).where(ResultRow.scan_id.in_(ids)))
    return connection.execute(
        update(ScanRow)
        .where(*again)
        .values(
            state=Status.QUEUED,
            attempts=0,
            code=None,
            message=None,
            model=None,
            hc_mm=None,
            plane=None,
            flags=None,
            published_at=None,
            queued_at=now(),
            changed_at=now(),
        )
    ).rowcount


def cancel(database: Database, batch_id: str) -> int:
    """End all that the batch has not finished yet, as rejected; return how many.

    Who works on one of them at present stores nothing; ``requeue`` brings them back. Raises
    ``BatchUnknown``.
    """
    because = Cancelled()
    with database.writing() as connection:
        require(connection, batch_id)
        rows = connection.execute(
            update(ScanRow)
            .where(ScanRow.batch_id == batch_id, ScanRow.state.in_(sources(Event.CANCELLED)))
            .values(**NOBODYS, state=Status.REJECTED, code=because.code, message=str(because))
            .returning(ScanRow.id, ScanRow.attempts)
        ).all()
        ended = [(row.id, row.attempts, None, because.code) for row in rows]
        record(connection, Event.CANCELLED, ended)
        # An interrupted intake has come to its end too; that of a watched folder never does.
        connection.execute(
            update(BatchRow)
            .where(
                BatchRow.id == batch_id,
                BatchRow.kind != BatchKind.WATCH,
                BatchRow.intake_done_at.is_(None),
            )
            .values(intake_done_at=now())
        )
    return len(rows)


def _alone(connection: Connection) -> bool:
    """Return whether no other reconciler is at work: SQLite has one writer anyway."""
    if connection.dialect.name == "sqlite":
        return True
    lock = text("SELECT pg_try_advisory_xact_lock(:key)")
    return bool(connection.scalar(lock, {"key": _RECONCILE_LOCK}))
