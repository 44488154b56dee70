"""A reported row as every form of export has it: values by column, and a notice."""

from __future__ import annotations

from worker.columns import flattened
from worker.result import NOTICE
from worker.store.rows import COLUMNS, ReportRow

RECORD_COLUMNS = (*COLUMNS, "notice")

Record = dict[str, object]


def record_of(row: ReportRow) -> Record:
    """Return the row's values by ``RECORD_COLUMNS``; times as ISO 8601, unknown as None."""
    record = flattened(row) | {"notice": NOTICE}
    if row.measured_at is not None:
        record["measured_at"] = row.measured_at.isoformat(timespec="seconds")
    if row.exam.study_date is not None:
        record["study_date"] = row.exam.study_date.isoformat()
    return record
