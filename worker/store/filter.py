"""Which rows: what a person asks for, as conditions on the ledger's tables."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Select,
    and_,
    exists,
    func,
    literal,
    or_,
    select,
    union,
)
from sqlalchemy.orm import aliased
from sqlalchemy.sql.expression import FromClause

from worker.result import Status
from worker.store.tables import RESULT_COLUMNS, ResultRow, ScanRow
from worker.store.unindexed import unindexed


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows; what is None does not restrict, and of several words of one kind any will do.

    ``since`` (inclusive) and ``until`` (exclusive) are about when a scan reached its present
    state; ``source`` is a part of the path, or a pattern with ``*`` and ``?``, and so is a model.
    ``study`` is a StudyInstanceUID, ``studies`` are some of them. ``hc_from_mm`` and ``hc_to_mm``
    are inclusive; rows without an HC lie in no range. ``latest``: of each file and frame its newest
    row in the whole ledger.
    """

    batch: str | None = None
    statuses: Collection[Status] | None = None
    since: datetime | None = None
    until: datetime | None = None
    source: str | None = None
    codes: Collection[str] | None = None
    flags: Collection[str] | None = None
    planes: Collection[str] | None = None
    study: str | None = None
    studies: Collection[str] | None = None
    models: Collection[str] | None = None
    hc_from_mm: float | None = None
    hc_to_mm: float | None = None
    latest: bool = False

    @property
    def may_be_rare(self) -> bool:
        """Whether it asks for what an index of its own has, and perhaps few rows have."""
        words = (self.codes, self.flags, self.models, self.planes)
        return any(each is not None for each in (*words, self.hc_from_mm, self.hc_to_mm))


def scans_with_results() -> FromClause:
    """Return each scan with its reported result, a duplicate with that of what it repeats."""
    return ScanRow.__table__.outerjoin(
        ResultRow.__table__,
        and_(
            ResultRow.scan_id == func.coalesce(ScanRow.duplicate_of, ScanRow.id),
            RESULT_COLUMNS["model"] == ScanRow.model,
        ),
    )


def conditions(which: Filter, *, by_index: bool = True) -> list[ColumnElement[bool]]:
    """Return what must hold of the table ``scans``.

    ``by_index`` False keeps SQLite from looking for what an index of its own has, as where rows are
    read in the order of submission and many of them fit.
    """
    return [*_of_scan(which), *_of_studies(which), *_of_index(which, by_index=by_index)]


def is_latest() -> ColumnElement[bool]:
    """Return whether no newer row is there of the same frame of the same path."""
    newer = aliased(ScanRow)
    return ~exists().where(
        newer.source == ScanRow.source, newer.frame == ScanRow.frame, newer.id > ScanRow.id
    )


def scans_of_studies(*studies: str | BindParameter[str]) -> Select[Any]:
    """Return the query for the numbers of these studies' scans, duplicates of them too."""
    # The ids first, by their indexes: through the rows' outer join it would be every scan.
    of_studies = RESULT_COLUMNS["study_instance_uid"].in_(studies)
    measured = select(ResultRow.scan_id).where(of_studies)
    again = select(ScanRow.id).where(ScanRow.duplicate_of.in_(measured))
    return select(union(measured, again).subquery("of_studies").c.scan_id)


def _of_scan(which: Filter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if which.batch is not None:
        found.append(ScanRow.batch_id == which.batch)
    if which.statuses is not None:
        found.append(ScanRow.state.in_(which.statuses))
    if which.since is not None:
        found.append(ScanRow.changed_at >= which.since)
    if which.until is not None:
        found.append(ScanRow.changed_at < which.until)
    if which.source is not None:
        found.append(ScanRow.source.like(like_pattern(which.source), escape="\\"))
    if which.latest:
        found.append(is_latest())
    return found


def _of_studies(which: Filter) -> list[ColumnElement[bool]]:
    asked = ([which.study] if which.study is not None else None, which.studies)
    return [ScanRow.id.in_(scans_of_studies(*each)) for each in asked if each is not None]


def _of_index(which: Filter, *, by_index: bool) -> list[ColumnElement[bool]]:
    if not which.may_be_rare:
        return []
    columns = (ScanRow.code, ScanRow.model, ScanRow.plane, ScanRow.hc_mm)
    code, model, plane, hc_mm = columns if by_index else map(unindexed, columns)
    found: list[ColumnElement[bool]] = []
    if which.codes is not None:
        found.append(code.in_(which.codes))
    if which.flags is not None:
        if by_index:
            found.append(ScanRow.flags.is_not(None))
        flags = literal(" ") + ScanRow.flags + " "
        found.append(or_(*(flags.contains(f" {each} ", autoescape=True) for each in which.flags)))
    if which.models is not None:
        found.append(model.in_(_models_like(which.models)))
    if which.planes is not None:
        found.append(plane.in_(which.planes))
    if which.hc_from_mm is not None:
        found.append(hc_mm >= which.hc_from_mm)
    if which.hc_to_mm is not None:
        found.append(hc_mm <= which.hc_to_mm)
    return found


def _models_like(patterns: Collection[str]) -> Select[Any]:
    """Return the query for the few names that fit, each found in the index after the one before."""
    known = ScanRow.model.is_not(None)
    names = select(func.min(ScanRow.model).label("name")).where(known).cte("models", recursive=True)
    following = select(func.min(ScanRow.model)).where(ScanRow.model > names.c.name)
    names = names.union_all(select(following.scalar_subquery()).where(names.c.name.is_not(None)))
    fits = (names.c.name.like(like_pattern(each), escape="\\") for each in patterns)
    return select(names.c.name).where(or_(*fits))


def like_pattern(text: str) -> str:
    """Return a part of a text, or a pattern with ``*`` and ``?``, as LIKE has it."""
    literally = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    if "*" not in text and "?" not in text:
        return f"%{literally}%"
    pattern = literally.replace("*", "%").replace("?", "_")
    return pattern if PurePath(text).is_absolute() else f"%{pattern}"
