"""Rows as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import TextIO

from worker.reports.record import RECORD_COLUMNS, Record


def write_csv(records: Iterable[Record], out: TextIO) -> int:
    """Write a line of headings and one per record; return how many. Unknown stays empty."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(RECORD_COLUMNS)
    count = 0
    for record in records:
        writer.writerow([_cell(record[name]) for name in RECORD_COLUMNS])
        count += 1
    return count


def _cell(value: object) -> object:
    return " ".join(value) if isinstance(value, tuple) else value
