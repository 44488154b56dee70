"""Tables for a terminal: what is cut, what goes on in the next line, and what is never broken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from cli.short_paths import relative, shortened
from cli.table import TableColumn, TextTable, lay_out, rows_table
from worker.columns import assembled
from worker.roots import Roots
from worker.store.rows import COLUMNS, ReportRow


def row(**values: Any) -> ReportRow:
    unknown = dict.fromkeys(COLUMNS) | {"flags": (), "frame": 0, "status": "measured"}
    return assembled(ReportRow, unknown | {"batch": "b", "source": "a.png"} | values)


def text(table: TextTable) -> list[str]:
    return [line.plain for line in table.lines]


def test_rows_fit_80_cells_with_every_code_and_flag_whole() -> None:
    rows = [
        row(source="/scans/" + "folder/" * 20 + "image-0007.dcm", hc_mm=175.449, confidence=0.876),
        row(source="b.png", status="rejected", code="unsupported-transfer-syntax"),
        row(
            source="c.png",
            status="flagged",
            hc_mm=100.05,
            hc_low_mm=98.0,
            hc_high_mm=102.5,
            ga_weeks=14.25,
            flags=("region-height-implausible", "pixel-aspect-differs", "low-confidence"),
        ),
    ]
    lines = text(rows_table(rows, lambda _, source: source, 80))
    assert lines == [
        "file                 status   HC mm \u00b1 mm GA wk conf. code or flags",
        "/sca\u2026/image-0007.dcm measured 175.4             0.88",
        "b.png                rejected                        unsupported-transfer-syntax",
        "c.png                flagged  100.0  2.2  14.2       region-height-implausible",
        "                                                     pixel-aspect-differs",
        "                                                     low-confidence",
    ]
    assert max(map(len, lines)) == 80


def test_frames_and_both_diameters_are_shown_where_there_are_any_and_room() -> None:
    loop = [row(frame=0, bpd_mm=50.0), row(frame=12, ofd_mm=60.0)]
    narrow, wide = (text(rows_table(loop, lambda _, s: s, width))[0] for width in (80, 100))
    assert "frame status" in narrow
    assert "BPD" not in narrow
    assert "BPD mm OFD mm" in wide
    assert "frame" not in text(rows_table([row()], lambda _, s: s, 80))[0]


def test_whole_words_make_a_line_longer_than_a_terminal() -> None:
    uid = "1.2.826.0.1.3680043.8.498." + "7" * 38
    columns = [TableColumn("source", is_path=True), TableColumn("sop_instance_uid")]
    (_, line) = text(lay_out(columns, [["p" * 30, uid]], 70))
    assert line == "ppp\u2026" + "p" * 12 + " " + uid


def test_what_does_not_print_is_an_escape() -> None:
    (_, line) = text(lay_out([TableColumn("x")], [["a\x1b[2Jb\u202e"]], 80))
    assert line == "a\\x1b[2Jb\\u202e"


@pytest.mark.parametrize(
    ("path", "width", "shown"),
    [
        ("abcdefghij", 10, "abcdefghij"),
        ("abcdefghijk", 10, "ab\u2026efghijk"),
        ("\u732b" * 8, 11, "\u732b\u2026\u732b\u732b\u732b\u732b"),
        ("abc", 1, "\u2026"),
    ],
)
def test_a_path_is_cut_in_its_middle(path: str, width: int, shown: str) -> None:
    assert shortened(path, width) == shown
    assert cell_len(shown) <= width


@pytest.mark.parametrize(
    ("source", "given", "shown"),
    [
        ("/scans/a/b.png", "/scans", "a/b.png"),
        ("/scans/a/b.png", "/scans/a/b.png", "b.png"),
        ("/scans/a/b.png", "/other, /scans/a", "a/b.png"),
        ("/scans2/b.png", "/scans", "/scans2/b.png"),
        ("/scans/b.png", None, "/scans/b.png"),
        ("/b.png", "/", "b.png"),
    ],
)
def test_a_path_begins_where_it_was_submitted(source: str, given: str, shown: str) -> None:
    assert relative(source, given, Roots()) == shown


def test_a_path_below_a_root_begins_where_it_was_submitted(tmp_path: Path) -> None:
    roots = Roots({"pacs": tmp_path})
    assert relative("pacs:day/a.png", str(tmp_path / "day"), roots) == "a.png"
    assert relative("pacs:day/a.png", str(tmp_path), roots) == "day/a.png"
    assert relative("pacs:day/a.png", "/elsewhere", roots) == "pacs:day/a.png"
