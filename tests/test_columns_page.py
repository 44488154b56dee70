"""docs/columns.md prints the one list of columns, and what else the tables hold."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Column as StoredColumn

from worker.columns import Column, columns_of
from worker.result import Status
from worker.store.rows import COLUMNS, ReportRow
from worker.store.tables import Base

PAGE = Path(__file__).parent.parent / "docs" / "columns.md"
WORDS = {
    str: "text",
    Status: "text",
    int: "whole number",
    float: "number",
    tuple: "words",
    datetime: "time",
    date: "day",
}


def line_of(column: Column) -> str:
    return f"| `{column.name}` | {WORDS[column.type]} | {column.unit} | {column.meaning} |"


def line_of_stored(column: StoredColumn[Any]) -> str:
    return f"| `{column.table.name}` | `{column.name}` | {column.doc} |"


def test_each_column_of_a_row_stands_there_in_order() -> None:
    lines = [line_of(column) for column in columns_of(ReportRow)]
    assert "\n".join(lines) in PAGE.read_text()


def test_each_column_of_a_table_that_a_row_does_not_explain_stands_there() -> None:
    stored = [column for table in Base.metadata.tables.values() for column in table.columns]
    assert {column.name for column in stored if column.doc is None} <= set(COLUMNS)
    lines = [line_of_stored(column) for column in stored if column.doc is not None]
    assert "\n".join(lines) in PAGE.read_text()
