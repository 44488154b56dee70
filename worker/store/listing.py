"""Rows page by page, those that a person must look at first; quick with a million of them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Generic, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Row,
    Select,
    Text,
    bindparam,
    exists,
    func,
    select,
)

from worker.columns import columns_of, in_order
from worker.result import Code, Millimetres, Status
from worker.store.clock import UtcDateTime
from worker.store.filter import Filter, conditions, like_pattern
from worker.store.rows import ReportRow, rows_statement
from worker.store.session import Database
from worker.store.tables import AttemptRow, Id, ReviewRow, ScanRow
from worker.store.unindexed import unindexed

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

LOOKING_S = 0.03
"""For so long paths are compared for one page: about a hundred thousand rows."""

_AT_ONCE = 100_000
"""Numbers of rows between two looks at the clock."""

_FEW = 20_000
"""Rows of a span of time whose numbers are looked for first: 2 ms, and beyond it a page is full."""

_LAST = 2**63 - 1


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

    @property
    def why(self) -> str:
        """Its code, or its flags."""
        return self.code or " ".join(self.flags)


Kind = TypeVar("Kind", ListedRow, ReportRow)
Shown = TypeVar("Shown")


@dataclass(frozen=True, slots=True)
class Page(Generic[Shown]):
    """Some rows, and where the next page begins; ``None`` at the end.

    ``is_partial``: the page ends before it is full, as not all rows could be compared with a part
    of a path in the time for one page.
    """

    rows: list[Shown]
    next: Place | None
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a scan's history."""

    number: int
    event: str
    code: str | None
    at: datetime


_IN_REACH = (
    ScanRow.state == bindparam("status", type_=Text),
    ScanRow.id >= bindparam("first", type_=Id),
    ScanRow.id <= bindparam("last", type_=Id),
)


def page_of(
    kind: type[Kind],
    database: Database,
    which: Filter,
    after: Place | None = None,
    limit: int = 50,
    *,
    unseen_by: str | None = None,
) -> Page[Kind]:
    """Return the rows after a place, by ``ORDER`` and then as they were submitted.

    ``kind``: all of a row, or what a list shows of it. ``unseen_by``: only those that this
    reviewer has said nothing of.
    """
    names = tuple(column.name for column in columns_of(kind))
    page = lines_of_page(names, database, which, after, limit, unseen_by=unseen_by)
    return Page([in_order(kind, line) for line in page.rows], page.next, page.is_partial)


def lines_of_page(
    names: tuple[str, ...],
    database: Database,
    which: Filter,
    after: Place | None = None,
    limit: int = 50,
    *,
    unseen_by: str | None = None,
) -> Page[Row[Any]]:
    """Return the same as bare values of these columns, ``status`` and ``scan_id`` among them.

    Where a part of the path is asked for, rows are compared with it for ``LOOKING_S``: the page may
    then hold few rows or none, and yet there is a next one.
    """
    rows: list[Row[Any]] = []
    until_s = time.monotonic() + LOOKING_S
    with database.reading() as connection:
        statement, values = _question(names, which, unseen_by)
        reached: Place | None = None
        for reach in _reaches(connection, which, after):
            if which.source is not None and reached is not None and time.monotonic() > until_s:
                return Page(rows, reached, is_partial=True)
            asked = values | asdict(reach) | {"limit": limit + 1 - len(rows)}
            rows += connection.execute(statement, asked).all()
            if len(rows) > limit:
                rows.pop()
                return Page(rows, Place(Status(rows[-1].status), rows[-1].scan_id))
            reached = Place(reach.status, reach.last)
    return Page(rows, None)


@dataclass(frozen=True, slots=True)
class _Reach:
    """Rows of one status from one number to another: a range of an index."""

    status: Status
    first: int
    last: int


def _reaches(connection: Connection, which: Filter, after: Place | None) -> Iterator[_Reach]:
    """Yield where the rows of a page can be, in their order; no more of it is read than is asked.

    Where a part of a path is asked for, each is short.
    """
    numbers = _numbers(connection, which)
    if numbers is None:
        return
    first, last = numbers
    at_once = _LAST + 1
    if which.source is not None:
        at_once = _AT_ONCE
        last = min(last, connection.scalar(select(func.max(ScanRow.id))) or 0)
    statuses = [each for each in ORDER if which.statuses is None or each in which.statuses]
    if after is not None:
        statuses = [each for each in statuses if ORDER.index(each) >= ORDER.index(after.status)]
    for status in statuses:
        is_begun = after is not None and after.status is status
        beginning = max(first, after.scan_id + 1) if after is not None and is_begun else first
        for number in range(beginning, last + 1, at_once):
            yield _Reach(status, number, min(last, number + at_once - 1))


def _question(
    names: tuple[str, ...], which: Filter, unseen_by: str | None
) -> tuple[Select[Any], dict[str, Any]]:
    """Return a statement for the rows of one status between two numbers, and its other values."""
    values = {
        "batch": which.batch,
        "since": which.since,
        "until": which.until,
        "path": None if which.source is None else like_pattern(which.source),
        "reviewer": unseen_by,
    }
    given = {name: value for name, value in values.items() if value is not None}
    rest = replace(which, batch=None, statuses=None, since=None, until=None, source=None)
    others = conditions(rest, by_index=False)
    statement = _statement(names, frozenset(given), alone=not others)
    return (statement.where(*others) if others else statement), given


@cache
def _statement(names: tuple[str, ...], given: frozenset[str], *, alone: bool) -> Select[Any]:
    """Return the statement with a place for each value: to build it anew costs more than to ask.

    ``alone``: nothing will be asked for besides.
    """
    limit = bindparam("limit", type_=Integer)
    found = [*_IN_REACH]
    if "path" in given:
        fits = ScanRow.source.like(bindparam("path", type_=Text), escape="\\")
        # The status' index alone tells number and path.
        fitting = select(ScanRow.id).where(*_IN_REACH, fits)
        if alone and len(given) == 1:  # nothing else is asked for, so these fill the page
            fitting = fitting.order_by(ScanRow.id).limit(limit)
        found = [ScanRow.id.in_(fitting)]
    if "batch" in given:
        found.append(unindexed(ScanRow.batch_id) == bindparam("batch", type_=Text))
    if "reviewer" in given:
        by_them = ReviewRow.reviewer == bindparam("reviewer", type_=Text)
        found.append(~exists().where(ReviewRow.scan_id == ScanRow.id, by_them))
    found += _times(given)
    return rows_statement(Filter(), names).where(*found).order_by(ScanRow.id).limit(limit)


def _times(given: Collection[str]) -> list[ColumnElement[bool]]:
    at = ScanRow.changed_at
    since, until = (bindparam(name, type_=UtcDateTime()) for name in ("since", "until"))
    both = {"since": at >= since, "until": at < until}
    return [condition for name, condition in both.items() if name in given]


def _numbers(connection: Connection, which: Filter) -> tuple[int, int] | None:
    """Return the first and last number of a batch's rows, or of a short time's; ``None``: no rows.

    A state's index is in the order of numbers. Without an end of these it would be read on to the
    last row, in search of some that fill the page.
    """
    first, last = 0, _LAST
    if which.batch is not None:
        low, high = connection.execute(_OF_BATCH, {"batch": which.batch}).one()
        if low is None:
            return None
        first, last = low, high
    given = {
        name: moment
        for name, moment in (("since", which.since), ("until", which.until))
        if moment is not None
    }
    if given:
        low, high, count = connection.execute(_of_time(frozenset(given)), given).one()
        if low is None:
            return None
        if count <= _FEW:
            first, last = max(first, low), min(last, high)
    return first, last


_ENDS = (
    select(end(ScanRow.id)).where(ScanRow.batch_id == bindparam("batch", type_=Text))
    for end in (func.min, func.max)
)
_OF_BATCH = select(*(each.scalar_subquery() for each in _ENDS))


@cache
def _of_time(given: frozenset[str]) -> Select[Any, Any, int]:
    few = select(ScanRow.id).where(*_times(given)).limit(_FEW + 1).subquery()
    return select(func.min(few.c.id), func.max(few.c.id), func.count())


_ROW = rows_statement(Filter()).where(ScanRow.id == bindparam("scan_id", type_=Id))


def row_of(database: Database, scan_id: int) -> ReportRow | None:
    """Return one scan's row, or ``None`` where there is no such scan."""
    with database.reading() as connection:
        line = connection.execute(_ROW, {"scan_id": scan_id}).one_or_none()
    return None if line is None else in_order(ReportRow, line)


_HISTORY = (
    select(AttemptRow.number, AttemptRow.event, AttemptRow.code, AttemptRow.at)
    .where(AttemptRow.scan_id == bindparam("scan_id", type_=Id))
    .order_by(AttemptRow.id)
)


def history_of(database: Database, scan_id: int) -> list[Event]:
    """Return what happened to a scan, the oldest first."""
    with database.reading() as connection:
        return [Event(*line) for line in connection.execute(_HISTORY, {"scan_id": scan_id})]
