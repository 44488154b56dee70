"""The forms of export: cells that stay cells, and numbers that stay numbers."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from worker.columns import assembled, columns_of, flattened
from worker.reports.forms import FORMS, write_rows
from worker.store.rows import COLUMNS, ReportRow


def row(**values: Any) -> ReportRow:
    unknown = dict.fromkeys(COLUMNS) | {"flags": (), "frame": 0, "scan_id": 1, "attempts": 1}
    return assembled(ReportRow, unknown | {"batch": "b", "source": "a.png"} | values)


def cells(written: ReportRow) -> dict[str, str]:
    out = io.StringIO()
    assert write_rows([written], "csv", out) == 1
    (record,) = csv.DictReader(io.StringIO(out.getvalue()))
    return record


def test_a_row_is_taken_apart_and_put_together() -> None:
    written = row(hc_mm=175.5, flags=("cut-by-border",), rows=540)
    assert assembled(ReportRow, flattened(written)) == written
    assert tuple(flattened(written)) == tuple(column.name for column in columns_of(ReportRow))


def test_negative_numbers_stay_numbers() -> None:
    record = cells(row(angle_rad=-0.25, delta_x_cm=-0.02, hc_mm=1e-7))
    assert (record["angle_rad"], record["delta_x_cm"]) == ("-0.25", "-0.02")
    assert float(record["hc_mm"]) == 1e-7
    assert record["bpd_mm"] == ""


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_a_formula_is_a_text(begin: str) -> None:
    text = f"{begin}1+1"
    record = cells(row(source=text, message=text, study_instance_uid=text))
    assert record["source"] == record["message"] == record["study_instance_uid"] == f"'{text}"


@pytest.mark.parametrize(("raw", "shown"), [("\t=1", "\\t=1"), ("\r=1", "\\r=1"), ("\n-", "\\n-")])
def test_a_line_end_or_tab_begins_no_cell(raw: str, shown: str) -> None:
    assert cells(row(source=raw))["source"] == shown


def test_each_form_tells_the_same() -> None:
    written = row(
        source="\u00e4\x1b.png",
        flags=("a", "b"),
        hc_mm=175.5,
        measured_at=datetime(2026, 1, 31, 8, 15, tzinfo=UTC),
    )
    for form in FORMS:
        out = io.StringIO()
        assert write_rows([written, written], form, out) == 2
        text = out.getvalue()
        assert "2026-01-31T08:15:00+00:00" in text
        assert "175.5" in text
        if form != "csv":
            record = json.loads(text)[1] if form == "json" else json.loads(text.splitlines()[1])
            assert record["source"] == written.source
            assert record["flags"] == ["a", "b"]
            assert record["bpd_mm"] is None
