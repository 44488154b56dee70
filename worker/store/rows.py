"""The reported rows: a scan, where it stands, and what was measured."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from itertools import groupby
from typing import Annotated, Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Row,
    Select,
    SQLColumnExpression,
    Text,
    bindparam,
    func,
    select,
    type_coerce,
)
from sqlalchemy.types import NullType

from worker.columns import columns_of, in_order
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
from worker.store.filter import Filter, conditions, scans_of_studies, scans_with_results
from worker.store.session import Database, binary_numbers
from worker.store.tables import RESULT_COLUMNS, ScanRow

_FEW = 1000  # rows that are looked for by their numbers
_FETCH = 500  # rows in memory at once
_FETCH_COLUMNS = 500  # what a processor keeps at hand: more is slower


_PARTS_AHEAD = 4


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
_TYPES = {column.name: column.type for column in columns_of(ReportRow)}

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
class Sort:
    """By which column rows are put in order; unknown values come last."""

    column: str
    descending: bool = False


def select_rows(
    database: Database,
    which: Filter = Filter(),  # noqa: B008 - frozen
    *,
    sort: Sequence[Sort] = (),
    limit: int | None = None,
    newest_first: bool = False,
) -> Iterator[ReportRow]:
    """Yield the rows in the order of submission, or otherwise; memory stays flat."""
    statement = _in_order(
        database, which, _labelled(COLUMNS), sort, newest_first=newest_first
    ).limit(limit)
    yield from _yielded(database, statement)


def _yielded(database: Database, statement: Select[Any]) -> Iterator[ReportRow]:
    with (
        database.reading() as connection,
        closing(connection.execute(statement, execution_options={"yield_per": _FETCH})) as lines,
    ):
        for line in lines:
            yield in_order(ReportRow, line)


def select_scans(database: Database, scan_ids: Collection[int]) -> Iterator[ReportRow]:
    """Yield the rows of these scans, in the order of submission."""
    statement = rows_statement(Filter()).where(ScanRow.id.in_(scan_ids)).order_by(ScanRow.id)
    yield from _yielded(database, statement)


def lines_of_study(
    database: Database, study_instance_uid: str, names: tuple[str, ...]
) -> Sequence[Row[Any]]:
    """Return the values of these columns of one study's rows, in the order of submission."""
    with database.reading() as connection:
        return connection.execute(_of_study(names), {"study": study_instance_uid}).all()


@cache
def _of_study(names: tuple[str, ...]) -> Select[Any]:
    study: BindParameter[str] = bindparam("study", type_=Text)
    return (
        rows_statement(Filter(), names)
        .where(ScanRow.id.in_(scans_of_studies(study)))
        .order_by(ScanRow.id)
    )


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


def newest_studies(database: Database, which: Filter, limit: int) -> list[str]:
    """Return the studies of the newest rows that name one, the newest first, each once."""
    study = RESULT_COLUMNS["study_instance_uid"]
    found: dict[str, None] = {}
    # A number beyond all: without one SQLite may first make a filter of the whole other table.
    at_once, before = 4 * limit, 2**63 - 1
    while len(found) < limit:
        statement = _selected(which, [_column("scan_id").label("id"), study]).where(
            study.is_not(None), ScanRow.id < before
        )
        with database.reading() as connection:
            newest = statement.order_by(ScanRow.id.desc()).limit(at_once)
            rows = connection.execute(newest).all()
        found |= dict.fromkeys(uid for _, uid in rows)
        if len(rows) < at_once:
            break
        at_once, before = 2 * at_once, rows[-1].id
    return list(found)[:limit]


def count_without_study(database: Database, which: Filter) -> int:
    """Return how many images of these rows name no study; copies of one count once."""
    content = func.coalesce(_column("sha256"), ScanRow.source)
    images = _selected(which, [content, _column("model").label("model")]).where(
        RESULT_COLUMNS["study_instance_uid"].is_(None)
    )
    with database.reading() as connection:
        statement = select(func.count()).select_from(images.distinct().subquery())
        return connection.scalar(statement) or 0


def _by_study(row: ReportRow) -> tuple[str, int]:
    return row.file.study_instance_uid or "", row.scan_id


def select_columns(
    database: Database,
    which: Filter,
    names: Sequence[str] = COLUMNS,
    *,
    sort: Sequence[Sort] = (),
    limit: int | None = None,
    newest_first: bool = False,
) -> Generator[list[Sequence[Any]], None, None]:
    """Yield the rows of ``select_rows`` some hundred at a time, a sequence of values per column.

    For files, and several times as quick: numbers and texts are as the driver gives them, a time
    is a text ``2026-01-31 08:15:00.250000`` in UTC, a day ``2026-01-31``, and words are one text.
    """
    statement = plain_statement(
        database, which, names, sort=sort, limit=limit, newest_first=newest_first
    )
    is_sqlite = database.engine.dialect.name == "sqlite"
    with database.reading() as connection, binary_numbers(connection):
        in_parts = {"yield_per": _FETCH_COLUMNS}
        with closing(connection.execute(statement, execution_options=in_parts)) as lines:
            # SQLite computes in this process, and would only be slowed down.
            ahead = 0 if is_sqlite else _PARTS_AHEAD
            with closing(_ahead(lines.partitions(), ahead)) as parts:
                for part in parts:
                    yield list(zip(*part, strict=True))


def _ahead(parts: Iterator[Sequence[Any]], ahead: int) -> Generator[Sequence[Any], None, None]:
    """Yield the parts, while the server is asked for some more of them."""
    if not ahead:
        yield from parts
        return
    with ThreadPoolExecutor(1) as thread:
        coming = deque(thread.submit(next, parts, None) for _ in range(ahead))
        while (part := coming.popleft().result()) is not None:
            coming.append(thread.submit(next, parts, None))
            yield part


def plain_statement(
    database: Database,
    which: Filter,
    names: Sequence[str],
    *,
    sort: Sequence[Sort],
    limit: int | None,
    newest_first: bool,
) -> Select[Any]:
    """Return the query for the rows of ``select_columns``, whose values need no more work."""
    is_text = database.engine.dialect.name == "sqlite"
    plain = [_plain(name, is_text=is_text).label(name) for name in names]
    return _in_order(database, which, plain, sort, newest_first=newest_first).limit(limit)


def _plain(name: str, *, is_text: bool) -> ColumnElement[Any]:
    """Return a column as it is wanted. ``is_text``: times and days are texts there already."""
    column = _column(name)
    if _TYPES[name] is datetime and not is_text:
        column = func.to_char(func.timezone("UTC", column), "YYYY-MM-DD HH24:MI:SS.US")
    elif _TYPES[name] is date and not is_text:
        column = func.to_char(column, "YYYY-MM-DD")
    return type_coerce(column, NullType())


def _in_order(
    database: Database,
    which: Filter,
    columns: Sequence[ColumnElement[Any]],
    sort: Sequence[Sort],
    *,
    newest_first: bool,
) -> Select[Any]:
    """Return the query for these rows in order: few by their numbers, many one after the other.

    No database knows which of both is better. Where few fit, all would be read in search of them;
    where many do, their index is in another order, and to sort them takes seconds.
    """
    statement = _selected(which, columns)
    if which.may_be_rare:
        with database.reading() as connection:
            rare = select(ScanRow.id).where(*conditions(which)).limit(_FEW + 1)
            numbers = connection.scalars(rare).all()
        if len(numbers) <= _FEW:
            statement = statement.where(ScanRow.id.in_(numbers))
    for each in sort:
        column = _column(each.column)
        statement = statement.order_by(
            (column.desc() if each.descending else column.asc()).nulls_last()
        )
    return statement.order_by(ScanRow.id.desc() if newest_first else ScanRow.id)


def rows_statement(which: Filter, names: Sequence[str] = COLUMNS) -> Select[Any]:
    """Return the query for these columns of ``ReportRow``; in no order."""
    return _selected(which, _labelled(names))


def _selected(which: Filter, columns: Sequence[ColumnElement[Any]]) -> Select[Any]:
    found = conditions(which, by_index=False)
    return select(*columns).select_from(scans_with_results()).where(*found)


def _labelled(names: Sequence[str]) -> list[ColumnElement[Any]]:
    return [_column(name).label(name) for name in names]


def _column(name: str) -> SQLColumnExpression[Any]:
    return _OF_SCAN[name] if name in _OF_SCAN else RESULT_COLUMNS[name]


def count_rows(database: Database, which: Filter) -> int:
    """Return how many rows there are."""
    statement = select(func.count()).select_from(ScanRow).where(*conditions(which))
    with database.reading() as connection:
        return connection.scalar(statement) or 0
