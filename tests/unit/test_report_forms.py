"""The forms of export: cells that stay cells, and numbers that stay numbers."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys
import zipfile
from datetime import UTC, date, datetime
from typing import Any

import pytest

from worker.columns import assembled, columns_of, flattened
from worker.errors import TooManyRows
from worker.reports.forms import write_rows
from worker.store.rows import COLUMNS, ReportRow


def row(**values: Any) -> ReportRow:
    unknown = dict.fromkeys(COLUMNS) | {"flags": (), "frame": 0, "scan_id": 1, "attempts": 1}
    return assembled(ReportRow, unknown | {"batch": "b", "source": "a.png"} | values)


def cells(written: ReportRow) -> dict[str, str]:
    out = io.BytesIO()
    assert write_rows([written], "csv", out) == 1
    (record,) = csv.DictReader(io.StringIO(out.getvalue().decode()))
    return record


def test_a_row_is_taken_apart_and_put_together() -> None:
    written = row(hc_mm=175.5, flags=("cut-by-border",), rows=540)
    assert assembled(ReportRow, flattened(written)) == written
    assert tuple(flattened(written)) == tuple(column.name for column in columns_of(ReportRow))


def test_negative_numbers_stay_numbers() -> None:
    record = cells(row(angle_rad=-0.25, delta_x_cm=-0.02, hc_mm=-1.5))
    assert (record["angle_rad"], record["delta_x_cm"]) == ("-0.25", "-0.02")
    assert float(record["hc_mm"]) == -1.5
    assert record["bpd_mm"] == ""


def test_numbers_are_as_fine_as_their_quantity() -> None:
    fine = 1 / 7
    record = cells(
        row(hc_mm=fine, row_mm=fine, angle_rad=-fine, confidence=fine, delta_x_cm=fine, rows=7)
    )
    assert [record[name] for name in ("hc_mm", "row_mm", "angle_rad", "confidence", "rows")] == [
        *("0.14", "0.142857", "-0.1429", "0.143", "7")
    ]
    assert float(record["delta_x_cm"]) == fine  # as it stands in the file
    assert cells(row(hc_mm=-0.001))["hc_mm"] == "0.0"
    assert cells(row(hc_mm=math.inf))["hc_mm"] == "inf"


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
        study_date=date(2026, 1, 30),
    )
    for form in ("csv", "json", "jsonl"):
        out = io.BytesIO()
        assert write_rows([written, written], form, out) == 2
        text = out.getvalue().decode()
        assert "2026-01-31T08:15:00+00:00" in text
        assert "2026-01-30" in text
        assert "175.5" in text
        if form != "csv":
            record = json.loads(text)[1] if form == "json" else json.loads(text.splitlines()[1])
            assert record["source"] == written.source
            assert record["flags"] == ["a", "b"]
            assert record["bpd_mm"] is None


def test_parquet_has_types_units_and_meanings() -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra tables")
    at = datetime(2026, 1, 31, 8, 15, 0, 250_000, tzinfo=UTC)
    written = [
        row(hc_mm=175.128, flags=("a", "b"), measured_at=at, study_date=date(2026, 1, 30)),
        row(source="=1\x1b", rows=540),
    ]
    out = io.BytesIO()
    assert write_rows(written, "parquet", out) == 2
    table = parquet.read_table(io.BytesIO(out.getvalue()))
    first, second = table.to_pylist()
    assert tuple(first) == (*COLUMNS, "notice")
    assert (first["hc_mm"], first["flags"], first["measured_at"]) == (175.13, ["a", "b"], at)
    assert (first["study_date"], first["bpd_mm"]) == (date(2026, 1, 30), None)
    assert (second["source"], second["rows"], second["flags"]) == ("=1\x1b", 540, [])
    told = table.schema.field("hc_low_mm").metadata
    assert told == {b"unit": b"mm", b"meaning": b"lower end of the 90 % interval of HC"}
    empty = io.BytesIO()
    assert write_rows([], "parquet", empty) == 0
    assert parquet.read_table(empty).schema.names == [*COLUMNS, "notice"]


def test_a_workbook_holds_texts_that_are_no_formulas() -> None:
    pytest.importorskip("xlsxwriter", reason="needs the extra tables")
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    out = io.BytesIO()
    assert write_rows([row(source="=1+1\x1b", hc_mm=175.128, measured_at=at)], "xlsx", out) == 1
    with zipfile.ZipFile(out) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        meanings = book.read("xl/worksheets/sheet2.xml").decode()
    assert "<f>" not in sheet
    assert "<t>=1+1\\x1b</t>" in sheet
    assert "<v>175.13</v>" in sheet
    assert "<v>46053.5</v>" in sheet  # days since 1899-12-30
    assert "90 % interval" in meanings


def test_a_workbook_without_room_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("xlsxwriter", reason="needs the extra tables")
    monkeypatch.setattr("worker.reports.xlsx_form._MOST_ROWS", 2)
    assert write_rows([row(), row()], "xlsx", io.BytesIO()) == 2
    with pytest.raises(TooManyRows, match="XLSX has room for 2"):
        write_rows([row(), row(), row()], "xlsx", io.BytesIO())


def test_a_form_whose_library_is_absent_names_the_command() -> None:
    code = (
        "import sys; sys.modules['pyarrow'] = sys.modules['xlsxwriter'] = None\n"
        "from worker.errors import ExtraMissing\n"
        "from worker.reports.forms import FORMS\n"
        "FORMS['csv'].writer()\n"
        "for form in ('parquet', 'xlsx'):\n"
        "    try: FORMS[form].writer()\n"
        "    except ExtraMissing as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.count("pip install 'hc-batch[tables]'") == 2
