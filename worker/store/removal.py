"""Rows that go for good: what would go is counted first, and it goes in small transactions.

Only scans that have ended go. One that is the original of a duplicate stays as long as that does;
one whose file still lies in a watched folder stays, which would be taken again without it; and so
does one of which an object waits to be sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, delete, exists, func, select
from sqlalchemy.orm import aliased

from worker.errors import BatchUnfinished
from worker.store.batches import FINAL, PENDING, BatchKind
from worker.store.clock import now
from worker.store.deliveries import DeliveryState
from worker.store.session import Database
from worker.store.tables import Base, BatchRow, DeliveryRow, ScanRow

_ROUND = 2000  # scans in one transaction, which makes writers wait

IsThere = Callable[[str], bool]
"""Whether a watched folder still holds the file of this stored path."""


@dataclass(frozen=True, slots=True)
class Removal:
    """How many rows go, or went, by table; ``kept``: ended scans that have to stay."""

    rows: Mapping[str, int]
    kept: int = 0


def remove_batch(database: Database, batch_id: str, is_there: IsThere, *, really: bool) -> Removal:
    """Remove a batch with all its rows, or with ``really`` False only count them.

    The batch of a watched folder stays, empty. Raises ``BatchUnfinished`` where a scan of it is
    queued or running.
    """
    with database.reading() as connection:
        pending = select(func.count()).where(
            ScanRow.batch_id == batch_id, ScanRow.state.in_(PENDING)
        )
        count = connection.scalar(pending)
    if count:
        raise BatchUnfinished(f"{count} scans of {batch_id} are queued or running")
    of_batch = [ScanRow.batch_id == batch_id]
    return _removed(database, of_batch, [BatchRow.id == batch_id], is_there, really=really)


def prune(database: Database, older_than_s: float, is_there: IsThere, *, really: bool) -> Removal:
    """Remove scans that ended longer ago, and finished batches that are left empty; or count them.

    Those that are queued or running stay, however old.
    """
    with database.reading() as connection:
        before: datetime = connection.execute(select(now(-older_than_s))).scalar_one()
    old = [ScanRow.changed_at < before]
    old_batches = [BatchRow.created_at < before, BatchRow.intake_done_at.is_not(None)]
    return _removed(database, old, old_batches, is_there, really=really)


def _removed(
    database: Database,
    which: Sequence[ColumnElement[bool]],
    batches: Sequence[ColumnElement[bool]],
    is_there: IsThere,
    *,
    really: bool,
) -> Removal:
    ended, doomed = _doomed(database, [*which, ScanRow.state.in_(FINAL)], is_there)
    total: Counter[str] = Counter()
    # Duplicates first: the database lets no original go before them.
    for are_duplicates in (True, False):
        ids = [each for each in doomed if doomed[each].is_duplicate is are_duplicates]
        for some in _rounds(ids):
            total += _scans_removed(database, some, really=really)
    going = Counter(each.batch_id for each in doomed.values() if not really)
    total += _batches_removed(database, batches, going, really=really)
    return Removal(dict(total), kept=ended - len(doomed))


@dataclass(frozen=True, slots=True)
class _Doomed:
    """A scan that may go."""

    batch_id: str
    is_duplicate: bool


def _doomed(
    database: Database, ended: Sequence[ColumnElement[bool]], is_there: IsThere
) -> tuple[int, dict[int, _Doomed]]:
    """Return how many scans are asked for, and those of them that may go, by id."""
    asked = (
        select(ScanRow.id, ScanRow.batch_id, ScanRow.duplicate_of, ScanRow.source, BatchRow.kind)
        .join(BatchRow, BatchRow.id == ScanRow.batch_id)
        .where(*ended)
    )
    repeating = select(ScanRow.id, ScanRow.duplicate_of).where(ScanRow.duplicate_of.is_not(None))
    count = 0
    doomed: dict[int, _Doomed] = {}
    with database.reading() as connection:
        for row in connection.execution_options(yield_per=_ROUND).execute(asked):
            count += 1
            if not (row.kind == BatchKind.WATCH and is_there(row.source)):
                doomed[row.id] = _Doomed(row.batch_id, row.duplicate_of is not None)
        for scan_id, original in connection.execute(repeating):
            if scan_id not in doomed and original is not None:
                doomed.pop(original, None)
        unsent = select(DeliveryRow.scan_id).where(DeliveryRow.state == DeliveryState.QUEUED)
        for scan_id in connection.scalars(unsent):
            doomed.pop(scan_id, None)
    return count, doomed


def _rounds(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), _ROUND):
        yield ids[start : start + _ROUND]


def _scans_removed(database: Database, ids: Sequence[int], *, really: bool) -> Counter[str]:
    """Remove these scans with all that hangs on them, but those that changed meanwhile."""
    again = aliased(ScanRow)
    still = (
        ScanRow.id.in_(ids),
        ScanRow.state.in_(FINAL),
        ~exists().where(again.duplicate_of == ScanRow.id),
    )
    if not really:
        with database.reading() as connection:
            return _counted(connection, _naming("scans"), ids) + Counter(scans=len(ids))
    with database.writing() as connection:
        here = connection.scalars(select(ScanRow.id).where(*still).with_for_update()).all()
        gone = _deleted(connection, _naming("scans"), here)
        connection.execute(delete(ScanRow).where(ScanRow.id.in_(here)))
    return gone + Counter(scans=len(here))


def _batches_removed(
    database: Database,
    which: Sequence[ColumnElement[bool]],
    going: Mapping[str, int],
    *,
    really: bool,
) -> Counter[str]:
    """Remove batches without scans; a watched folder's is its watcher's, and stays.

    ``going``: how many scans of each batch are only counted as gone.
    """
    scans = (
        select(BatchRow.id, func.count(ScanRow.id).label("scans"))
        .outerjoin(ScanRow, ScanRow.batch_id == BatchRow.id)
        .where(*which, BatchRow.kind != BatchKind.WATCH)
        .group_by(BatchRow.id)
    )
    with database.reading() as connection:
        rows = connection.execute(scans).all()
    total: Counter[str] = Counter()
    for row in rows:
        if row.scans == going.get(row.id, 0):
            total += _batch_removed(database, row.id, really=really)
    return total


def _batch_removed(database: Database, batch_id: str, *, really: bool) -> Counter[str]:
    if not really:
        with database.reading() as connection:
            return _counted(connection, _naming("batches"), [batch_id]) + Counter(batches=1)
    with database.writing() as connection:
        if connection.scalar(select(exists().where(ScanRow.batch_id == batch_id))):
            return Counter()  # a scan was queued again meanwhile
        gone = _deleted(connection, _naming("batches"), [batch_id])
        connection.execute(delete(BatchRow).where(BatchRow.id == batch_id))
    return gone + Counter(batches=1)


def _naming(table: str) -> list[Column[Any]]:
    """Return the columns of other tables that name a row of this one; scans are their own affair.

    From the tables themselves: one that comes later is not forgotten.
    """
    return [
        key.parent
        for other in Base.metadata.tables.values()
        for key in other.foreign_keys
        if key.column.table.name == table and other.name != ScanRow.__tablename__
    ]


def _counted(
    connection: Connection, columns: Sequence[Column[Any]], ids: Sequence[Any]
) -> Counter[str]:
    return Counter(
        {
            column.table.name: connection.scalar(select(func.count()).where(column.in_(ids))) or 0
            for column in columns
        }
    )


def _deleted(
    connection: Connection, columns: Sequence[Column[Any]], ids: Sequence[Any]
) -> Counter[str]:
    return Counter(
        {
            column.table.name: connection.execute(
                delete(column.table).where(column.in_(ids))
            ).rowcount
            for column in columns
        }
    )
