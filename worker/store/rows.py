"""The reported rows: a scan, where it stands, and what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, func, select

from worker.columns import assembled, columns_of
from worker.exam import Exam
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
)
from worker.store.filter import Filter, conditions, scans_with_results
from worker.store.session import Database
from worker.store.tables import RESULT_COLUMNS, ScanRow

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
    exam: Exam


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


def select_rows(
    database: Database,
    which: Filter = Filter(),  # noqa: B008 - frozen
    *,
    limit: int | None = None,
    newest_first: bool = False,
) -> Iterator[ReportRow]:
    """Yield the rows in the order of submission, or the newest first; memory stays flat."""
    order = ScanRow.id.desc() if newest_first else ScanRow.id
    yield from _yielded(database, rows_statement(which).order_by(order).limit(limit))


def _yielded(database: Database, statement: Select[Any]) -> Iterator[ReportRow]:
    with database.reading() as connection:
        lines = connection.execution_options(yield_per=_FETCH).execute(statement)
        for line in lines:
            yield assembled(ReportRow, line._asdict())


def select_by_study(
    database: Database, which: Filter, *, limit: int | None = None
) -> Iterator[list[ReportRow]]:
    """Yield the rows of each study together; each row that knows no study stands alone.

    Without a ``limit`` no more than one study's rows are in memory; it counts the newest rows.
    """
    if limit is None:
        order = (RESULT_COLUMNS["study_instance_uid"], ScanRow.id)
        rows = _yielded(database, rows_statement(which).order_by(*order))
    else:
        newest = select_rows(database, which, limit=limit, newest_first=True)
        rows = iter(sorted(newest, key=_by_study))
    for study, of_study in groupby(rows, key=lambda row: row.file.study_instance_uid):
        if study is None:
            yield from ([row] for row in of_study)
        else:
            yield list(of_study)


def _by_study(row: ReportRow) -> tuple[str, int]:
    return row.file.study_instance_uid or "", row.scan_id


def rows_statement(which: Filter) -> Select[Any]:
    """Return the query for the rows, whose columns are those of ``ReportRow``; in no order."""
    columns: list[ColumnElement[Any]] = [
        (_OF_SCAN[name] if name in _OF_SCAN else RESULT_COLUMNS[name]).label(name)
        for name in COLUMNS
    ]
    return select(*columns).select_from(scans_with_results()).where(*conditions(which))


def count_rows(database: Database, which: Filter) -> int:
    """Return how many rows there are; quick where the filter is about scans alone."""
    tables = scans_with_results() if which.asks_results else ScanRow.__table__
    statement = select(func.count()).select_from(tables).where(*conditions(which))
    with database.reading() as connection:
        return connection.scalar(statement) or 0
