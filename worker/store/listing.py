"""Rows page by page, those that a person must look at first; quick with a million of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Generic, TypeVar

from sqlalchemy import ColumnElement, Executable, Select, exists, func, literal, select

from worker.columns import assembled, columns_of
from worker.result import Code, Millimetres, Status
from worker.store.filter import Filter, conditions
from worker.store.rows import ReportRow, rows_statement
from worker.store.session import Database
from worker.store.tables import AttemptRow, ReviewRow, ScanRow

ORDER = (
    Status.FLAGGED,
    Status.FAILED,
    Status.REJECTED,
    Status.MEASURED,
    Status.DUPLICATE,
    Status.RUNNING,
    Status.QUEUED,
)
"""Those first that need a person."""

_FEW = 20_000
"""Rows of a span of time whose numbers are looked for first: 2 ms, and beyond it a page is full."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: after this scan of this status."""

    status: Status
    scan_id: int


@dataclass(frozen=True, slots=True)
class ListedRow:
    """What a list shows of a ``ReportRow``: an eighth of its columns, in half the time."""

    scan_id: Annotated[int, "the scan's number in the ledger"]
    source: Annotated[str, "the file's path"]
    frame: Annotated[int, "number of the image in its file, from 0"]
    status: Annotated[str, "where the scan stands"]
    code: Code
    hc_mm: Annotated[Millimetres, "head circumference"]
    hc_low_mm: Annotated[Millimetres, "lower end of its 90 % interval"]
    hc_high_mm: Annotated[Millimetres, "upper end of its 90 % interval"]
    flags: Annotated[tuple[str, ...], "why a person should look"]


Row = TypeVar("Row", ListedRow, ReportRow)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows, and where the next page begins; ``None`` at the end."""

    rows: list[Row]
    next: Place | None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a scan's history."""

    number: int
    event: str
    code: str | None
    at: datetime


def page_of(
    kind: type[Row],
    database: Database,
    which: Filter,
    after: Place | None = None,
    limit: int = 50,
    *,
    unseen_by: str | None = None,
) -> Page[Row]:
    """Return the rows after a place, by ``ORDER`` and then as they were submitted.

    ``kind``: all of a row, or what a list shows of it. ``unseen_by``: only those that this
    reviewer has said nothing of.
    """
    statuses = [each for each in ORDER if which.statuses is None or each in which.statuses]
    if after is not None:
        statuses = [each for each in statuses if ORDER.index(each) >= ORDER.index(after.status)]
    rows: list[Row] = []
    names = [column.name for column in columns_of(kind)]
    within = _within(database, which)
    # A status at a time: each is a range of an index, and no more than a page of it is read.
    for status in statuses if within is not None else ():
        begin = after.scan_id if after is not None and after.status is status else 0
        others = rows_statement(replace(which, batch=None, statuses=None), names)
        statement = _unseen(others, unseen_by).where(
            ScanRow.state == status, ScanRow.id > begin, *(within or ())
        )
        rows += _rows(kind, database, statement.order_by(ScanRow.id).limit(limit + 1 - len(rows)))
        if len(rows) > limit:
            break
    if len(rows) <= limit:
        return Page(rows, None)
    rows.pop()
    return Page(rows, Place(Status(rows[-1].status), rows[-1].scan_id))


def _within(database: Database, which: Filter) -> list[ColumnElement[bool]] | None:
    """Return what holds of the numbers of a batch's rows, or of a short time's; ``None``: no rows.

    A state's index is in the order of numbers. Without an end of these it would be read on to the
    last row, in search of some that fill the page.
    """
    found: list[ColumnElement[bool]] = []
    if which.batch is not None:
        of_batch = ScanRow.batch_id == which.batch
        ends = (select(end(ScanRow.id)).where(of_batch) for end in (func.min, func.max))
        first, last, _ = _ends(
            database, select(*(each.scalar_subquery() for each in ends), literal(1))
        )
        if first is None:
            return None
        # An empty text appended keeps the batch's own indexes out, which are in another order.
        found += [ScanRow.id.between(first, last), ScanRow.batch_id + literal("") == which.batch]
    if which.since is not None or which.until is not None:
        times = conditions(Filter(since=which.since, until=which.until))
        few = select(ScanRow.id).where(*times).limit(_FEW + 1).subquery()
        first, last, count = _ends(
            database, select(func.min(few.c.id), func.max(few.c.id), func.count())
        )
        if first is None:
            return None
        if count <= _FEW:
            found.append(ScanRow.id.between(first, last))
    return found


def _ends(database: Database, statement: Executable) -> tuple[int | None, int | None, int]:
    with database.reading() as connection:
        first, last, count = connection.execute(statement).one()
        return first, last, count


def row_of(database: Database, scan_id: int) -> ReportRow | None:
    """Return one scan's row, or ``None`` where there is no such scan."""
    rows = _rows(ReportRow, database, rows_statement(Filter()).where(ScanRow.id == scan_id))
    return rows[0] if rows else None


def rows_of_study(database: Database, study_instance_uid: str, limit: int) -> list[ReportRow]:
    """Return the rows of one study, the first ``limit`` of them."""
    statement = rows_statement(Filter(study=study_instance_uid))
    return _rows(ReportRow, database, statement.order_by(ScanRow.id).limit(limit))


def history_of(database: Database, scan_id: int) -> list[Event]:
    """Return what happened to a scan, the oldest first."""
    statement = (
        select(AttemptRow.number, AttemptRow.event, AttemptRow.code, AttemptRow.at)
        .where(AttemptRow.scan_id == scan_id)
        .order_by(AttemptRow.id)
    )
    with database.reading() as connection:
        return [Event(*line) for line in connection.execute(statement)]


def _unseen(
    statement: Select[tuple[object, ...]], reviewer: str | None
) -> Select[tuple[object, ...]]:
    if reviewer is None:
        return statement
    said = exists().where(ReviewRow.scan_id == ScanRow.id, ReviewRow.reviewer == reviewer)
    return statement.where(~said)


def _rows(kind: type[Row], database: Database, statement: Select[tuple[object, ...]]) -> list[Row]:
    with database.reading() as connection:
        return [assembled(kind, line._asdict()) for line in connection.execute(statement)]
