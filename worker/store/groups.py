"""Rows summed by group: how many stand where, their HC, and how many a person must look at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

from sqlalchemy import (
    Connection,
    Select,
    SQLColumnExpression,
    func,
    literal,
    select,
)

from worker.result import Millimetres, Share, Status
from worker.store.filter import Filter, conditions, scans_with_results
from worker.store.session import Database
from worker.store.tables import RESULT_COLUMNS, ScanRow

_MEASURED = (Status.MEASURED, Status.FLAGGED)
_REFUSED = (Status.REJECTED, Status.FAILED)


class GroupBy(StrEnum):
    """What rows are summed by."""

    BATCH = "batch"
    DAY = "day"
    CODE = "code"
    MACHINE = "machine"
    MODEL = "model"
    PLANE = "plane"


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that have something in common; ``name`` is ``None`` where that is unknown.

    Shares and HC leave duplicates out, which are rows of one image.
    """

    name: Annotated[str | None, "what the rows have in common"]
    scans: Annotated[int, "rows"]
    measured: Annotated[int, "rows that are measured"]
    flagged: Annotated[int, "rows that are flagged"]
    rejected: Annotated[int, "rows that are rejected"]
    failed: Annotated[int, "rows that are failed"]
    duplicate: Annotated[int, "rows that are duplicates"]
    waiting: Annotated[int, "rows that are queued or running"]
    hc_median_mm: Annotated[Millimetres, "median HC of what is measured or flagged"]
    flagged_share: Annotated[Share, "flagged, of what is measured or flagged"]
    refused_share: Annotated[Share, "rejected or failed, of what has ended"]


def groups(database: Database, which: Filter, by: GroupBy | None) -> list[Group]:
    """Return the groups by name, the unknown last; with ``by`` None all rows as one."""
    with database.reading() as connection:
        key = _key(connection, by)
        counted: dict[Any, dict[Status, int]] = {}
        for name, state, count in connection.execute(_counts(which, key, by)):
            counted.setdefault(name, {})[Status(state)] = count
        middle = connection.execute(_medians(which, key, by)).all()
        medians = {row.name: row.hc_mm for row in middle}
    names = sorted(counted, key=lambda name: (name is None, name or ""))
    return [_group(name, counted[name], medians.get(name)) for name in names]


def _group(name: str | None, counts: dict[Status, int], hc_mm: float | None) -> Group:
    of = {status: counts.get(status, 0) for status in Status}
    measured, refused = (sum(of[each] for each in some) for some in (_MEASURED, _REFUSED))
    return Group(
        name=name,
        scans=sum(of.values()),
        measured=of[Status.MEASURED],
        flagged=of[Status.FLAGGED],
        rejected=of[Status.REJECTED],
        failed=of[Status.FAILED],
        duplicate=of[Status.DUPLICATE],
        waiting=of[Status.QUEUED] + of[Status.RUNNING],
        hc_median_mm=None if hc_mm is None else float(hc_mm),
        flagged_share=of[Status.FLAGGED] / measured if measured else None,
        refused_share=refused / (measured + refused) if measured + refused else None,
    )


def _key(connection: Connection, by: GroupBy | None) -> SQLColumnExpression[Any]:
    if by is GroupBy.DAY:
        if connection.dialect.name == "sqlite":
            return func.date(ScanRow.changed_at)
        return func.to_char(func.timezone("UTC", ScanRow.changed_at), literal("YYYY-MM-DD"))
    return {
        None: literal("all"),
        GroupBy.BATCH: ScanRow.batch_id,
        GroupBy.CODE: ScanRow.code,
        GroupBy.MACHINE: RESULT_COLUMNS["machine"],
        GroupBy.MODEL: ScanRow.model,
        GroupBy.PLANE: ScanRow.plane,
    }[by]


def _counts(which: Filter, key: SQLColumnExpression[Any], by: GroupBy | None) -> Select[Any]:
    rows = _rows(which, by, key.label("name"), ScanRow.state.label("state")).subquery()
    return select(rows.c.name, rows.c.state, func.count()).group_by(rows.c.name, rows.c.state)


def _medians(which: Filter, key: SQLColumnExpression[Any], by: GroupBy | None) -> Select[Any]:
    """Return the query for each group's median: the middle row by HC, or the mean of two."""
    with_hc = _rows(which, by, key.label("name"), ScanRow.hc_mm).where(
        ScanRow.state.in_(_MEASURED), ScanRow.hc_mm.is_not(None)
    )
    rows = with_hc.subquery()
    ranked = select(
        rows.c.name,
        rows.c.hc_mm,
        func.row_number().over(partition_by=rows.c.name, order_by=rows.c.hc_mm).label("place"),
        func.count().over(partition_by=rows.c.name).label("of"),
    ).subquery()
    twice = 2 * ranked.c.place
    middle = twice.between(ranked.c.of, ranked.c.of + 2)
    return (
        select(ranked.c.name, func.avg(ranked.c.hc_mm).label("hc_mm"))
        .where(middle)
        .group_by(ranked.c.name)
    )


def _rows(which: Filter, by: GroupBy | None, *columns: SQLColumnExpression[Any]) -> Select[Any]:
    tables = scans_with_results() if by is GroupBy.MACHINE else ScanRow.__table__
    return select(*columns).select_from(tables).where(*conditions(which))
