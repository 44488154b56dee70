"""A reported row as every form of export has it: values by column, and a notice."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from worker.columns import flattened
from worker.result import NOTICE
from worker.store.rows import COLUMNS, ReportRow

RECORD_COLUMNS = (*COLUMNS, "notice")

Record = dict[str, object]


def record_of(row: ReportRow) -> Record:
    """Return the row's values by ``RECORD_COLUMNS``; times as ISO 8601, unknown as None."""
    return record_of_line(flattened(row).values())


def record_of_line(line: Iterable[object]) -> Record:
    """Return the same for the values of ``COLUMNS``, in their order."""
    record: Record = dict(zip(COLUMNS, line, strict=True))
    record["notice"] = NOTICE
    measured_at, study_date = record["measured_at"], record["study_date"]
    if isinstance(measured_at, datetime):
        record["measured_at"] = measured_at.isoformat(timespec="seconds")
    if isinstance(study_date, date):
        record["study_date"] = study_date.isoformat()
    return record
