"""The reported rows: a scan, where it stands, and what was measured."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Annotated, Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, and_, func, select

from worker.columns import assembled, columns_of
from worker.result import (
    Code,
    FileIdentity,
    HeadEllipse,
    HeadPlane,
    HeadSizes,
    Message,
    Model,
    PixelOrigin,
    Scale,
    Status,
)
from worker.store.session import Database
from worker.store.tables import RESULT_COLUMNS, ResultRow, ScanRow

_FETCH = 500  # rows in memory at once


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One scan as users see it, in the order of CSV and JSON. Unknown is None.

    A duplicate shows the values of the scan that was measured, ``duplicate_of``.
    """

    batch: Annotated[str, "the batch's name"]
    source: Annotated[str, "the file's path, where there are roots as NAME:path"]
    frame: Annotated[int, "number of the image in its file, from 0"]
    status: Annotated[str, "where the scan stands"]
    code: Code
    sizes: HeadSizes
    scale: Scale
    ellipse: HeadEllipse
    file: FileIdentity
    model: Model
    measured_at: Annotated[datetime | None, "when the result was stored, in UTC"]
    message: Message
    origin: PixelOrigin
    duplicate_of: Annotated[int | None, "the scan of the same content that was measured"]
    scan_id: Annotated[int, "the scan's number in the ledger"]
    attempts: Annotated[int, "how often it was tried, this time included"]
    head_plane: HeadPlane


COLUMNS = tuple(column.name for column in columns_of(ReportRow))

_OF_SCAN: dict[str, SQLColumnExpression[Any]] = {
    "batch": ScanRow.batch_id,
    "source": ScanRow.source,
    "frame": ScanRow.frame,
    "status": ScanRow.state,
    "code": func.coalesce(ScanRow.code, RESULT_COLUMNS["code"]),
    "message": func.coalesce(ScanRow.message, RESULT_COLUMNS["message"]),
    "sha256": func.coalesce(ScanRow.sha256, RESULT_COLUMNS["sha256"]),
    "model": func.coalesce(ScanRow.model, RESULT_COLUMNS["model"]),
    "duplicate_of": ScanRow.duplicate_of,
    "scan_id": ScanRow.id,
    "attempts": ScanRow.attempts,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows; what is None does not restrict.

    ``since`` (inclusive) and ``until`` (exclusive) are about when a scan reached its present
    state; ``source`` is a part of the path, or a pattern with ``*`` and ``?``.
    """

    batch: str | None = None
    statuses: Collection[Status] | None = None
    since: datetime | None = None
    until: datetime | None = None
    source: str | None = None


def select_rows(
    database: Database,
    which: Filter = Filter(),
    *,
    limit: int | None = None,
    newest_first: bool = False,
) -> Iterator[ReportRow]:
    """Yield the rows in the order of submission, or the newest first; memory stays flat."""
    order = ScanRow.id.desc() if newest_first else ScanRow.id
    statement = rows_statement(which).order_by(order).limit(limit)
    with database.reading() as connection:
        lines = connection.execution_options(yield_per=_FETCH).execute(statement)
        for line in lines:
            yield assembled(ReportRow, line._asdict())


def rows_statement(which: Filter) -> Select[Any]:
    """Return the query for the rows, whose columns are those of ``ReportRow``; in no order."""
    columns: list[ColumnElement[Any]] = [
        (_OF_SCAN[name] if name in _OF_SCAN else RESULT_COLUMNS[name]).label(name)
        for name in COLUMNS
    ]
    measured_as = and_(
        ResultRow.scan_id == func.coalesce(ScanRow.duplicate_of, ScanRow.id),
        RESULT_COLUMNS["model"] == ScanRow.model,
    )
    statement = select(*columns).select_from(ScanRow).outerjoin(ResultRow, measured_as)
    if which.batch is not None:
        statement = statement.where(ScanRow.batch_id == which.batch)
    if which.statuses is not None:
        statement = statement.where(ScanRow.state.in_(which.statuses))
    if which.since is not None:
        statement = statement.where(ScanRow.changed_at >= which.since)
    if which.until is not None:
        statement = statement.where(ScanRow.changed_at < which.until)
    if which.source is not None:
        statement = statement.where(ScanRow.source.like(_like(which.source), escape="\\"))
    return statement


def _like(source: str) -> str:
    literal = source.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    if "*" not in source and "?" not in source:
        return f"%{literal}%"
    pattern = literal.replace("*", "%").replace("?", "_")
    return pattern if PurePath(source).is_absolute() else f"%{pattern}"
