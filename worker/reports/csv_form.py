"""Rows as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import TextIO

from worker.plain_text import visible
from worker.reports.record import RECORD_COLUMNS, Record

# With these a spreadsheet takes a text for a formula; tabs and line ends are visible by then.
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def write_csv(records: Iterable[Record], out: TextIO) -> int:
    """Write a line of headings and one per record; return how many. Unknown stays empty.

    A text stays in its cell and in its line: what does not print is an escape, and what would begin
    a formula follows an apostrophe.
    """
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(RECORD_COLUMNS)
    count = 0
    for record in records:
        writer.writerow([_cell(record[name]) for name in RECORD_COLUMNS])
        count += 1
    return count


def _cell(value: object) -> object:
    if isinstance(value, tuple):
        value = " ".join(value)
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
