"""Rows as a workbook for a spreadsheet, with a second sheet that says what the columns mean."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, BinaryIO

import xlsxwriter

from worker.columns import Column
from worker.errors import TooManyRows
from worker.plain_text import visible
from worker.reports.extract import Extract, rounded

_MOST_ROWS = 1_048_575
"""Of a sheet, below its headings."""
_LONGEST = 32_767
"""Characters of a cell."""
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_numbers": False,
    "strings_to_urls": False,
}


def write_xlsx(extract: Extract, out: BinaryIO) -> int:
    """Write a workbook; return its rows. Unknown is an empty cell, times are in UTC.

    Raises ``TooManyRows`` where a sheet has no room for them.
    """
    count = 0
    with xlsxwriter.Workbook(out, _OPTIONS) as book:
        bold = book.add_format({"bold": True})
        forms: dict[type, Any] = {
            datetime: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
            date: book.add_format({"num_format": "yyyy-mm-dd"}),
        }
        sheet = book.add_worksheet("rows")
        sheet.freeze_panes(1, 0)
        for place, column in enumerate(extract.columns):
            form = forms.get(column.type)
            sheet.set_column(place, place, 20 if form else max(10, len(column.name) + 2), form)
        sheet.write_row(0, 0, [column.name for column in extract.columns], bold)
        for part in extract.parts:
            values = [_values(*each) for each in zip(extract.columns, part, strict=True)]
            for row in zip(*values, strict=True):
                count += 1
                if count > _MOST_ROWS:
                    raise TooManyRows(f"XLSX has room for {_MOST_ROWS}")
                for place, value in enumerate(row):
                    if value is not None:
                        sheet.write(count, place, value)
        sheet.autofilter(0, 0, max(count, 1), len(extract.columns) - 1)
        _explain(book.add_worksheet("columns"), extract.columns, bold)
    return count


def _explain(sheet: Any, columns: Sequence[Column], bold: Any) -> None:
    sheet.write_row(0, 0, ["column", "unit", "meaning"], bold)
    for line, column in enumerate(columns, 1):
        sheet.write_row(line, 0, [column.name, column.unit, column.meaning])


def _values(column: Column, values: Sequence[Any]) -> Sequence[Any]:
    if column.type is float:
        return rounded(column, values)
    if column.type is int:
        return values
    if column.type in (datetime, date):  # a spreadsheet knows no zones
        return [each and column.type.fromisoformat(each) for each in values]
    return [each and visible(each)[:_LONGEST] for each in values]
