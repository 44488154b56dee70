"""The forms in which rows are exported, by the name that is also their files' suffix."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TextIO

from worker.reports.csv_form import write_csv
from worker.reports.json_form import write_json, write_json_lines
from worker.reports.record import Record, record_of
from worker.store.rows import ReportRow

FORMS: dict[str, Callable[[Iterable[Record], TextIO], int]] = {
    "csv": write_csv,
    "json": write_json,
    "jsonl": write_json_lines,
}


def write_rows(rows: Iterable[ReportRow], form: str, out: TextIO) -> int:
    """Write the rows in one of ``FORMS`` as they come; return how many. Raises ``OSError``."""
    return FORMS[form](map(record_of, rows), out)
