"""What a report tells of its rows."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from rig.report_rows import BEGUN, many_rows, report_row
from worker.exam import Exam
from worker.reports.document.compose import as_page, as_paragraph, gather
from worker.reports.document.digest import digest_of, throughput
from worker.reports.document.overview import repeatability, sentence_of
from worker.reports.document.page import common_folder
from worker.reports.document.section import Section, Table
from worker.result import Status
from worker.roots import Roots

NOWHERE = Path("nowhere.keras")


def test_counts_are_those_of_the_rows() -> None:
    found = digest_of(many_rows(100))
    assert found.statuses == {Status.MEASURED: 80, Status.FLAGGED: 10, Status.REJECTED: 10}
    assert (found.codes, found.flags) == ({"no-head": 10}, {"low-confidence": 10})
    (day,) = found.by_day.items()
    assert day[0] == "2026-03-01"
    assert (day[1].with_hc, day[1].flagged, day[1].refused) == (90, 10, 10)
    assert day[1].flagged_percent == pytest.approx(100 * 10 / 90)
    assert len(found.hc_mm[Status.MEASURED]) == 80


def test_rates_are_told_by_machine_where_it_is_known() -> None:
    rows = [replace(row, exam=Exam(machine="Maker A")) for row in many_rows(20)]
    found = digest_of([*rows, report_row(30)])
    ((name, share),) = found.by_machine.items()
    assert (name, share.with_hc, share.flagged, share.refused) == ("Maker A", 18, 2, 2)
    text, _ = as_page(gather("x", rows, NOWHERE), 0, Roots())
    assert '<th scope="row">Maker A</th><td class="number">18</td>' in text


def test_a_duplicate_counts_once_and_nowhere_else() -> None:
    row = report_row(1, 200.0, study="1.2")
    copy = replace(row, scan_id=2, status=Status.DUPLICATE.value, duplicate_of=1)
    found = digest_of([row, copy])
    assert found.total == 2
    assert (list(found.hc_mm[Status.MEASURED]), found.models) == ([200.0], {"hc18-x": 1})


def test_those_that_need_a_person_come_first_whatever_the_order() -> None:
    rows = list(many_rows(100))
    random.Random(4).shuffle(rows)
    found = digest_of(rows, most=30)
    shown = [Status(row.status) for row in found.first_rows]
    assert shown == [Status.FLAGGED] * 10 + [Status.REJECTED] * 10 + [Status.MEASURED] * 10
    for status in (Status.FLAGGED, Status.MEASURED):
        sure = [row.ellipse.confidence for row in found.first_rows if row.status == status]
        assert sure == sorted(sure)
    assert found.left_out == 70
    least = sorted(row.ellipse.confidence or 0 for row in rows if row.status == Status.MEASURED)
    assert [row.ellipse.confidence for row in found.first_rows[20:]] == least[:10]


def test_pauses_of_more_than_a_minute_are_no_work() -> None:
    rows = [
        replace(report_row(n), measured_at=BEGUN + timedelta(seconds=s))
        for n, s in enumerate((0, 10, 70, 131, 141))
    ]
    speed = throughput(digest_of(rows))
    assert speed is not None
    assert (speed.results, speed.active_s) == (5, 80)  # 10 + 60 + 10; 61 s are a pause
    assert speed.per_minute == pytest.approx(3.75)
    assert throughput(digest_of([])) is None


def test_results_that_came_together_tell_no_rate() -> None:
    for last_s, told in ((9.9, None), (10.0, pytest.approx(12.0))):
        rows = [
            replace(report_row(n), measured_at=BEGUN + timedelta(seconds=s))
            for n, s in enumerate((0, last_s))
        ]
        speed = throughput(digest_of(rows))
        assert speed is not None
        assert speed.per_minute == told


def test_repeatability_of_three_studies_by_hand() -> None:
    apart_mm, within_mm = repeatability([(200, 203), (150, 149), (100, 98)])
    assert apart_mm == pytest.approx(2.0)
    assert within_mm == pytest.approx(((9 + 1 + 4) / 3 / 2) ** 0.5)


def test_the_sentence_says_it_all() -> None:
    rows = [report_row(1, 100.0, study="1.2"), report_row(2, 140.0, study="1.2")]
    rows.append(report_row(3, None, status=Status.FAILED, code="crashed-worker"))
    assert sentence_of(digest_of(rows)) == (
        "3 scans of 1 study in 1 batch: 2 measured, 1 failed; HC from 100.0 to 140.0 mm, in the "
        "median 120.0 mm."
    )
    assert sentence_of(digest_of([])) == "No row fits."


@pytest.mark.parametrize(
    ("sources", "folder"),
    [
        (["/a/b/c.png", "/a/b/d/e.png"], "/a/b/"),
        (["/a/bc/x.png", "/a/bd/x.png"], "/a/"),
        (["A:x.png", "B:x.png"], ""),
        ([], ""),
    ],
)
def test_files_share_a_folder(sources: list[str], folder: str) -> None:
    assert common_folder(sources) == folder


def test_remedies_stand_in_the_page_and_no_text_leaves_its_place() -> None:
    row = replace(
        report_row(1, None, status=Status.REJECTED, code="no-head"),
        source="/scans/</script><script>alert(1)</script>\u2028\x1b.png",
    )
    text, _ = as_page(gather("<b>", [row], NOWHERE), 0, Roots())
    assert "submit one in the standard plane for HC" in text
    assert "alert(1)<" not in text
    assert "\x1b" not in text
    assert "<b>" not in text.replace("<br>", "")
    assert text.count("</script>") == 2


def test_figures_of_a_paragraph() -> None:
    rows = [
        report_row(number, hc_mm, study="1.2", ga_formula="hadlock-1984")
        for number, hc_mm in enumerate((100.0, 104.0, 110.0))
    ]
    text = as_paragraph(gather("x", rows, NOWHERE))
    assert "3 images of 1 studies: measured 3." in text
    assert "HC was 104.0 mm in the median (quartiles 100.0 and 110.0" in text
    assert "differed by 4.00 mm on average" in text
    assert "the file's calibrated ultrasound region (SequenceOfUltrasoundRegions) (3)" in text
    assert "SHA-256" not in text


def test_plots_are_the_same_each_time_and_have_ids_of_their_own() -> None:
    rows = list(many_rows(60))
    first, second = (as_page(gather("x", rows, NOWHERE), 0, Roots())[0] for _ in range(2))
    assert first.split("Written by")[0] == second.split("Written by")[0]
    assert "#0102" not in first
    assert "<metadata" not in first
    assert 'id="distribution-figure_1"' in first


def test_a_name_stays_text_in_markdown() -> None:
    name = "<img src=x>[a](b)|`c`.png"
    found = replace(
        gather("x", [report_row(1)], NOWHERE),
        extra=[Section("Title", tables=[Table("what", ("name", "mm"), [(name, "-1.0")])])],
    )
    text = as_paragraph(found)
    assert "### Title\n\n| name | mm |\n| --- | --- |\n" in text
    assert "| \\<img src=x\\>\\[a\\](b)\\|\\`c\\`.png | -1.0 |" in text
