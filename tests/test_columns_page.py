"""docs/columns.md prints the one list of columns, docs/schema.md what else the tables hold."""

from __future__ import annotations

import runpy
from datetime import date, datetime
from pathlib import Path

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


def test_each_column_of_a_row_stands_there_in_order() -> None:
    lines = [line_of(column) for column in columns_of(ReportRow)]
    assert "\n".join(lines) in PAGE.read_text()


def test_each_column_of_a_table_stands_in_the_page_of_the_schema_and_its_picture() -> None:
    docs = PAGE.parent
    made = runpy.run_path(str(docs / "schema.py"))
    assert made["page"]() == (docs / "schema.md").read_text(), "write it anew: make picture"
    assert made["picture"]() == (docs / "schema.svg").read_text(), "draw it anew: make picture"


def test_each_column_has_a_meaning() -> None:
    stored = [column for table in Base.metadata.tables.values() for column in table.columns]
    assert {column.name for column in stored if column.doc is None} <= set(COLUMNS)
