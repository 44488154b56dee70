"""Rows on their way into a file: by column, some thousand at a time, so memory stays flat."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from itertools import islice
from typing import Any

from worker.columns import Column, columns_of, flattened
from worker.result import NOTICE
from worker.store.copied_rows import copied_rows
from worker.store.filter import Filter
from worker.store.rows import ReportRow, Sort, select_columns
from worker.store.session import Database

Part = Sequence[Sequence[Any]]
"""Some rows: for each column its numbers or texts; unknown is ``None``.

A time is a text ``2026-01-31 08:15:00.250000`` in UTC, a day ``2026-01-31``, and words are one
text: so they come from a database, and most forms want them so.
"""

_AT_ONCE = 1000
_TIME = "%Y-%m-%d %H:%M:%S.%f"
NOTICE_COLUMN = Column("notice", str, False, "", "what none of it may be used for")

COLUMNS = {column.name: column for column in (*columns_of(ReportRow), NOTICE_COLUMN)}
"""What an export of rows has, by name and in its order."""


@dataclass(frozen=True, slots=True)
class Extract:
    """A table for a file: its columns, and its rows as they come.

    ``lines``, where the database writes rows by itself: the same rows as lines of CSV, all columns
    but the notice, and at least one.
    """

    columns: tuple[Column, ...]
    parts: Iterable[Part]
    lines: Callable[[], Generator[bytes, None, None]] | None = None


def extract_rows(
    database: Database,
    which: Filter,
    names: Sequence[str] = tuple(COLUMNS),
    *,
    sort: Sequence[Sort] = (),
    limit: int | None = None,
    newest_first: bool = False,
) -> Extract:
    """Return the rows with these of ``COLUMNS``; the database is asked when they are written."""
    stored = [name for name in names if name != NOTICE_COLUMN.name] or ["scan_id"]
    how: dict[str, Any] = {"sort": sort, "limit": limit, "newest_first": newest_first}
    parts = _noticed(select_columns(database, which, stored, **how), stored, names)
    lines = None
    if database.engine.dialect.name == "postgresql" and stored[0] in names:
        lines = partial(copied_rows, database, which, stored, **how)
    return Extract(tuple(COLUMNS[name] for name in names), parts, lines)


def _noticed(
    parts: Iterable[list[Sequence[Any]]], stored: Sequence[str], names: Sequence[str]
) -> Iterator[Part]:
    for part in parts:
        values = dict(zip(stored, part, strict=True))
        values[NOTICE_COLUMN.name] = [NOTICE] * len(part[0])
        yield [values[name] for name in names]


def extract_of(kind: type, items: Iterable[object]) -> Extract:
    """Return dataclasses of one kind as a table, with a notice."""
    return Extract((*columns_of(kind), NOTICE_COLUMN), _parts_of(items))


def _parts_of(items: Iterable[object]) -> Iterator[Part]:
    ahead = iter(items)
    while some := list(islice(ahead, _AT_ONCE)):
        rows = ([*map(_plain, flattened(each).values()), NOTICE] for each in some)
        yield list(zip(*rows, strict=True))


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return " ".join(value)
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):{_TIME}}"
    return value.isoformat() if isinstance(value, date) else value


def iso_times(values: Sequence[str | None]) -> list[str | None]:
    """Return times as ISO 8601 with their zone, to the second."""
    return [each and f"{each[:10]}T{each[11:19]}+00:00" for each in values]


def rounded(column: Column, values: Sequence[Any]) -> Sequence[Any]:
    """Return numbers with as many decimals as their quantity deserves; the ledger has them all."""
    if column.decimals is None:
        return values
    scale = 10.0**column.decimals
    try:
        return [None if value is None else round(value * scale) / scale for value in values]
    except (OverflowError, ValueError):  # no number
        return [None if value is None else round(value, column.decimals) for value in values]
