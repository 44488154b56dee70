"""Rows as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, TextIO

from worker.columns import Column
from worker.plain_text import visible
from worker.reports.extract import Extract, rounded

# With these a spreadsheet takes a text for a formula; tabs and line ends are visible by then.
_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")


def write_csv(extract: Extract, out: TextIO) -> int:
    """Write a line of headings and one per row; return how many. Unknown stays empty.

    A text stays in its cell and in its line: what does not print is an escape, and what would begin
    a formula follows an apostrophe.
    """
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.name for column in extract.columns])
    count = 0
    for part in extract.parts:
        cells = [_cells(*each) for each in zip(extract.columns, part, strict=True)]
        writer.writerows(zip(*cells, strict=True))
        count += len(part[0])
    return count


def _cells(column: Column, values: Sequence[Any]) -> Sequence[Any]:
    if column.type is float:
        return rounded(column, values)
    if column.type is int:
        return values
    if column.type is datetime:
        return [each and each.isoformat(timespec="seconds") for each in values]
    if column.type is date:
        return [each and each.isoformat() for each in values]
    if column.type is tuple:
        values = [" ".join(each) for each in values]
    return _texts(values)


def _texts(values: Sequence[str | None]) -> Sequence[str | None]:
    # Nearly all are plain: two looks at the whole column are cheaper than two at each value.
    begins = {each[:1] for each in values if each}
    if _FORMULA.isdisjoint(begins) and "".join(filter(None, values)).isprintable():
        return values
    return [each and _text(each) for each in values]


def _text(value: str) -> str:
    text = visible(value)
    return f"'{text}" if text[:1] in _FORMULA else text
