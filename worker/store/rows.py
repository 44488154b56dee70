"""The reported rows: a scan, where it stands, and what was measured."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import PurePath
from typing import Any

from sqlalchemy import Select, and_, func, select

from worker.result import Status
from worker.store.session import Database
from worker.store.tables import ResultRow, ScanRow

_FETCH = 500


@dataclass(frozen=True, slots=True)
class Row:
    """One scan as users see it, by the names of CSV and JSON. Unknown is None.

    A duplicate shows the values of the scan that was measured, ``duplicate_of``.
    """

    batch: str
    source: str
    frame: int
    status: str
    code: str | None
    hc_mm: float | None
    hc_low_mm: float | None
    hc_high_mm: float | None
    bpd_mm: float | None
    ofd_mm: float | None
    ga_weeks: float | None
    ga_formula: str | None
    row_mm: float | None
    column_mm: float | None
    spacing_source: str | None
    center_x_px: float | None
    center_y_px: float | None
    semi_axis_a_px: float | None
    semi_axis_b_px: float | None
    angle_rad: float | None
    confidence: float | None
    flags: tuple[str, ...]
    sop_instance_uid: str | None
    study_instance_uid: str | None
    sha256: str | None
    model: str | None
    measured_at: datetime | None
    message: str | None
    decoder: str | None
    region_index: int | None
    region_box: str | None
    delta_x_cm: float | None
    delta_y_cm: float | None
    rows: int | None
    columns: int | None
    duplicate_of: int | None
    scan_id: int
    attempts: int


COLUMNS = tuple(field.name for field in fields(Row))

_OF_SCAN: dict[str, Any] = {
    "batch": ScanRow.batch_id,
    "source": ScanRow.source,
    "frame": ScanRow.frame,
    "status": ScanRow.state,
    "code": func.coalesce(ScanRow.code, ResultRow.code),
    "message": func.coalesce(ScanRow.message, ResultRow.message),
    "sha256": func.coalesce(ScanRow.sha256, ResultRow.sha256),
    "model": func.coalesce(ScanRow.model, ResultRow.model),
    "duplicate_of": ScanRow.duplicate_of,
    "scan_id": ScanRow.id,
    "attempts": ScanRow.attempts,
}
_FLAGS = COLUMNS.index("flags")


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
) -> Iterator[Row]:
    """Streams the rows in the order of submission, or the newest first; memory stays flat."""
    order = ScanRow.id.desc() if newest_first else ScanRow.id
    statement = _statement(which).order_by(order).limit(limit)
    with database.reading() as connection:
        found = connection.execution_options(yield_per=_FETCH).execute(statement)
        for row in found:
            values: list[Any] = list(row)
            values[_FLAGS] = tuple((values[_FLAGS] or "").split())
            yield Row(*values)


def _statement(which: Filter) -> Select[Any]:
    columns: list[Any] = [_OF_SCAN.get(name, getattr(ResultRow, name, None)) for name in COLUMNS]
    measured_as = and_(
        ResultRow.scan_id == func.coalesce(ScanRow.duplicate_of, ScanRow.id),
        ResultRow.model == ScanRow.model,
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
