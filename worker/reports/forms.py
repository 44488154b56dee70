"""The forms in which rows are exported, by the name that is also their files' suffix."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

from worker.errors import ExtraMissing
from worker.reports.extract import Extract, extract_of
from worker.store.rows import ReportRow


@dataclass(frozen=True, slots=True)
class Form:
    """A form: its module and function here, and whether it is text."""

    module: str
    function: str
    is_text: bool = True

    def writer(self) -> Callable[[Extract, Any], int]:
        """Import what writes it. Raises ``ExtraMissing`` where its library is not installed."""
        try:
            module = importlib.import_module(f"worker.reports.{self.module}")
        except ImportError as error:
            raise ExtraMissing(f"{error.name}; pip install 'hc-batch[tables]'") from error
        writer: Callable[[Extract, Any], int] = getattr(module, self.function)
        return writer


FORMS = {
    "csv": Form("csv_form", "write_csv"),
    "json": Form("json_form", "write_json"),
    "jsonl": Form("json_form", "write_json_lines"),
    "parquet": Form("parquet_form", "write_parquet", is_text=False),
    "xlsx": Form("xlsx_form", "write_xlsx", is_text=False),
}


def write(extract: Extract, form: str, out: BinaryIO) -> int:
    """Write a table in one of ``FORMS``; return its rows.

    Raises ``OSError``, ``ExtraMissing``, and ``TooManyRows`` where the form has no room for them.
    """
    writer = FORMS[form].writer()
    if not FORMS[form].is_text:
        return writer(extract, out)
    text = io.TextIOWrapper(out, encoding="utf-8", newline="")
    try:
        count = writer(extract, text)
        text.flush()
        return count
    finally:
        text.detach()


def write_rows(rows: Iterable[ReportRow], form: str, out: BinaryIO) -> int:
    """Write rows in one of ``FORMS``, as ``write`` does."""
    return write(extract_of(ReportRow, rows), form, out)
