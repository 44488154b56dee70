"""Heads of studies: which rows count, whose they are, and what others say of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from hcmodel.growth import Chart, NoGrowth
from rig.report_rows import report_row
from worker.errors import AgesInvalid, ReferenceInvalid
from worker.exam import Exam, Pseudonyms
from worker.reference import AgeSource, Reference
from worker.reports.compared import compared
from worker.reports.document.comparisons import placed
from worker.reports.exam_facts import Known, Sources
from worker.reports.exam_table import read_ages, read_references, weeks_of
from worker.reports.studies import Frames, Head, Studies, sight_of
from worker.reports.study_rows import StudyRow, study_rows
from worker.result import Status
from worker.store.rows import ReportRow

NO_KEY = Pseudonyms()
NO_SOURCES = Sources()


def rows_of(
    *rows: ReportRow, sources: Sources = NO_SOURCES, frames: Frames = Frames.ALL
) -> list[StudyRow]:
    return list(study_rows(gathered(*rows), sources, frames))


def gathered(*rows: ReportRow) -> Studies:
    studies = Studies()
    for row in rows:
        studies.add(sight_of(row))
    return studies


def heads(*rows: ReportRow, sources: Sources = NO_SOURCES) -> list[Head]:
    return list(sources.heads(gathered(*rows)))


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(text)
    return path


def test_the_median_of_what_is_trusted() -> None:
    flagged = report_row(4, 250, study="1.2", status=Status.FLAGGED, flags=("weak-fit",))
    refused = report_row(5, None, study="1.2", status=Status.REJECTED, code="no-head")
    sizes = [report_row(n, mm, study="1.2") for n, mm in enumerate((200.0, 204.0, 203.0))]
    (row,) = rows_of(*sizes, flagged, refused)
    assert (row.hc_mm, row.reason, row.images, row.flagged, row.refused) == (203.0, None, 3, 1, 1)
    assert row.hc_low_mm == pytest.approx(203 - 4 * 0.762, abs=0.01)


def test_a_loop_counts_as_one_image() -> None:
    loop = [
        report_row(n, mm, study="1.2", sop="1.9", frame=n, confidence=sure)
        for n, (mm, sure) in enumerate([(210.0, 0.5), (214.0, 0.9), (218.0, 0.6)])
    ]
    still = report_row(9, 200.0, study="1.2")
    (row,) = rows_of(*loop, still)
    assert (row.images, row.hc_mm) == (2, 207.0)
    (best,) = rows_of(*loop[:1], *loop[2:], still, frames=Frames.BEST)
    assert best.hc_mm == (218 + 200) / 2


def test_a_loop_of_which_a_frame_has_no_hc_or_no_interval() -> None:
    frames = [
        report_row(n, mm, study="1.2", sop="1.9", frame=n) for n, mm in ((0, 200.0), (1, 204))
    ]
    refused = report_row(2, None, study="1.2", sop="1.9", frame=2, status=Status.REJECTED)
    (row,) = rows_of(*frames, refused)
    assert (row.hc_mm, row.images, row.flagged, row.refused) == (202.0, 1, 0, 0)
    assert (row.hc_low_mm, row.hc_high_mm) == (198.0, 206.0)
    without = replace(frames[0].sizes, hc_low_mm=None)
    (row,) = rows_of(replace(frames[0], sizes=without), frames[1])
    assert (row.hc_mm, row.hc_low_mm, row.hc_high_mm) == (202.0, None, None)
    flagged = report_row(3, 250, study="1.2", sop="1.9", frame=3, status=Status.FLAGGED)
    (row,) = rows_of(flagged, refused)
    assert (row.reason, row.flagged, row.refused) == ("nothing-trusted", 1, 0)


def test_pairs_are_the_first_two_trusted_images_of_a_study() -> None:
    rows = [report_row(n, 200.0 + n, study="1.2") for n in (1, 2, 3)]
    alone = report_row(4, 210.0, study="1.3")
    flagged = report_row(5, 300.0, study="1.3", status=Status.FLAGGED)
    files = [report_row(n, 210.0) for n in (6, 7)]
    studies = gathered(*rows, alone, flagged, *files)
    assert list(studies.pairs_mm()) == [(201.0, 202.0)]
    assert studies.uids == {"1.2", "1.3"}


def test_heads_have_names_that_people_find_them_by() -> None:
    one = {"7": {"A": Reference("A", 201.0)}}
    rows = [report_row(1, 200.0, study="7"), report_row(2, 200.0, study="8"), report_row(3, 200.0)]
    names = [head.name for head in heads(*rows, sources=Sources(one))]
    assert names == ["7, fetus A", "8", "image-00003.dcm"]


def test_files_of_one_content_without_uids_are_one() -> None:
    first = report_row(1, 200.0)
    plain = replace(first.file, sop_instance_uid=None)
    copy = replace(first, scan_id=2, source="/elsewhere/copy.png", file=plain)
    other = replace(report_row(3, 210.0), file=replace(plain, sha256="f" * 64))
    found = heads(replace(first, file=plain), copy, other)
    assert [[each.source for each in head.images] for head in found] == [
        [first.source],
        [other.source],
    ]


def test_a_second_copy_counts_once_and_carries_flags() -> None:
    row = report_row(1, 200.0, study="1.2")
    copy = replace(row, scan_id=2, status="duplicate", duplicate_of=1)
    assert rows_of(row, copy)[0].images == 1
    assert rows_of(copy)[0].hc_mm == 200.0
    flagged = replace(row, ellipse=replace(row.ellipse, flags=("weak-fit",)))
    of_flagged = replace(flagged, scan_id=2, status="duplicate", duplicate_of=1)
    assert rows_of(of_flagged)[0].reason == "nothing-trusted"


def test_a_later_row_of_the_same_frame_counts_where_it_has_an_hc() -> None:
    before = report_row(1, 200.0, study="1.2", sop="1.9")
    again = report_row(2, 205.0, study="1.2", sop="1.9")
    gone = report_row(3, None, study="1.2", sop="1.9", status=Status.REJECTED, code="file-missing")
    (row,) = rows_of(before, again, gone)
    assert (row.hc_mm, row.images, row.refused) == (205.0, 1, 0)


def test_each_reason_for_none() -> None:
    flagged = report_row(1, 200, study="1.1", status=Status.FLAGGED)
    refused = report_row(2, None, study="1.2", status=Status.REJECTED)
    queued = report_row(3, None, study="1.3", status=Status.QUEUED)
    apart = [report_row(4, 200.0, study="1.4"), report_row(5, 270.0, study="1.4")]
    found = rows_of(flagged, refused, queued, *apart)
    assert [(row.reason, row.hc_mm) for row in found] == [
        ("nothing-trusted", None),
        ("no-hc", None),
        ("unfinished", None),
        ("images-differ", None),
    ]


def test_models_and_files_without_a_study_are_kept_apart() -> None:
    one = report_row(1, 200.0, study="1.2")
    other = report_row(2, 210.0, study="1.2", model="new")
    png = report_row(3, 220.0)
    studies = gathered(one, other, png)
    found = list(study_rows(studies, Sources()))
    assert [(row.hc_mm, row.model) for row in found] == [(200.0, "hc18-x"), (210.0, "new")]


def test_fetuses_are_told_apart_by_the_images_that_reports_name() -> None:
    twins = {
        "A": Reference("A", 201.0, image_uids=("1.2.1", "1.2.2")),
        "B": Reference("B", 180.0, image_uids=("1.2.3",)),
    }
    rows = [report_row(n, mm, study="7") for n, mm in ((1, 200.0), (2, 202.0), (3, 181.0))]
    unnamed = report_row(4, 190.0, study="7")
    found = rows_of(*rows, unnamed, sources=Sources({"7": twins}))
    assert [(row.fetus, row.hc_mm, row.reference_hc_mm, row.reason) for row in found] == [
        ("A", 201.0, 201.0, None),
        ("B", 181.0, 180.0, None),
        (None, None, None, "fetus-unknown"),
    ]


def test_fetuses_are_told_apart_by_a_table(tmp_path: Path) -> None:
    rows = [report_row(n, mm, study="7") for n, mm in ((1, 200.0), (2, 180.0), (3, 190.0))]
    by_file = table(
        tmp_path, "file,study,fetus,hc_mm\nimage-00001.dcm,,A,201\nimage-00002.dcm,,B,181\n"
    )
    sources = Sources(references=read_references(by_file, NO_KEY))
    found = rows_of(*rows, sources=sources)
    assert [(row.fetus, row.hc_mm, row.reason) for row in found] == [
        ("A", 200.0, None),
        ("B", 180.0, None),
        (None, None, "fetus-unknown"),
    ]
    pairs = [each.pair for each in compared(heads(*rows, sources=sources), sources)]
    assert [(pair.ours_mm, pair.theirs_mm) for pair in pairs] == [(200, 201), (180, 181)]
    by_study = table(tmp_path, "study,fetus,hc_mm\n7,A,201\n7,B,181\n")
    (row,) = rows_of(*rows, sources=Sources(references=read_references(by_study, NO_KEY)))
    assert (row.hc_mm, row.reason) == (None, "fetus-unknown")


def test_a_reports_age_and_hc_and_the_centile() -> None:
    said = Reference(hc_mm=172.0, ga_weeks=20.0, ga_source=AgeSource.LMP)
    (row,) = rows_of(report_row(1, 172.5, study="7"), sources=Sources({"7": {None: said}}))
    assert (row.age_weeks, row.age_source, row.growth_chart) == (20.0, "lmp", "intergrowth-2014")
    assert row.growth_centile == pytest.approx(50, abs=1)
    assert (row.reference_hc_mm, row.reference_source) == (172.0, "report")
    who = Sources({"7": {None: said}}, chart=Chart.WHO_2017)
    (row,) = rows_of(report_row(1, 173.4, study="7"), sources=who)
    assert (row.growth_chart, row.growth_centile) == ("who-2017", pytest.approx(50, abs=1))


def test_an_age_outside_the_chart_says_so() -> None:
    outside = NoGrowth.AGE_OUTSIDE_CHART
    for weeks, reason in ((13.9, outside), (14.0, None), (40.0, None), (40.1, outside)):
        said = Reference(ga_weeks=weeks, ga_source=AgeSource.EDD)
        (row,) = rows_of(report_row(1, 100.0, study="7"), sources=Sources({"7": {None: said}}))
        assert row.growth_reason == reason
        assert (row.growth_z is None) == (reason is not None)


def test_a_table_counts_before_a_report(tmp_path: Path) -> None:
    path = table(tmp_path, "Study;HC_cm;ga_weeks\n7;17,3;20+3\n8;20;\n")
    read = read_references(path, NO_KEY)
    reports = {"7": {None: Reference(hc_mm=171.0, ga_weeks=22.0, ga_source=AgeSource.EDD)}}
    sources = Sources(reports, read)
    (row,) = rows_of(report_row(1, 172.0, study="7"), sources=sources)
    assert row.reference_hc_mm == pytest.approx(173)
    assert (row.reference_source, row.age_source) == ("table", "table")
    assert row.age_weeks == pytest.approx(20 + 3 / 7, abs=0.01)
    assert (len(read.used), read.total) == (1, 2)


def test_a_table_by_file_is_compared_image_by_image(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "filename,pixel size(mm),head circumference (mm)\n"
        "image-00001.dcm,0.1,201\nscans/image-00002.dcm,0.1,199\n",
    )
    sources = Sources(references=read_references(path, NO_KEY))
    rows = [report_row(n, 200.0 + n, study="7") for n in (1, 2, 3)]
    found = list(compared(heads(*rows), sources))
    assert [(each.pair.ours_mm, each.pair.theirs_mm) for each in found] == [(201, 201), (202, 199)]
    assert [each.scan_id for each in found] == [1, 2]
    (row,) = rows_of(*rows, sources=sources)
    assert row.reference_hc_mm is None


def test_images_that_a_report_names_are_compared_with_it() -> None:
    said = {"7": {None: Reference(hc_mm=204.0, image_uids=("1.2.2",))}}
    rows = [report_row(n, 200.0 + n, study="7", confidence=0.9 - n / 10) for n in (1, 2, 3)]
    (by_name,) = compared(heads(*rows), Sources(said))
    assert (by_name.pair.ours_mm, by_name.pair.theirs_mm, by_name.scan_id) == (202.0, 204.0, 2)
    (all_of_them,) = compared(heads(*rows), Sources({"7": {None: Reference(hc_mm=204.0)}}))
    assert (all_of_them.pair.ours_mm, all_of_them.scan_id) == (202.0, 1)


def test_a_date_of_delivery_needs_the_day_of_the_exam(tmp_path: Path) -> None:
    ages = read_ages(table(tmp_path, "accession,due_date\nA1,2026-07-15\n"), Pseudonyms("k" * 16))
    hashed = Pseudonyms("k" * 16).of("A1")
    exam = Exam(study_date=date(2026, 2, 25), accession_number=hashed)
    row = replace(report_row(1, 172.0, study="7"), exam=exam)
    (known,) = placed(heads(row), Sources(ages=ages))
    assert known.ga_weeks == pytest.approx(20.0)
    without = replace(row, exam=replace(exam, study_date=None))
    assert Sources(ages=ages).of(heads(without)[0]) == Known()
    assert ages.undated == {2}
    other_key = replace(row, exam=replace(exam, accession_number="A1"))
    assert Sources(ages=ages).of(heads(other_key)[0]) == Known()


def test_a_table_as_spreadsheets_leave_it(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("\ufefffilename;hc_mm;;\r\n;;;\r\na.png;200,5;;\r\nb.png;\r\n".encode())
    read = read_references(path, NO_KEY)
    assert {key: entry[None].hc_mm for key, entry in read.entries.items()} == {
        ("file", "a.png"): 200.5
    }


@pytest.mark.parametrize(
    ("text", "weeks"),
    [("20.5", 20.5), ("20,5", 20.5), ("20+3", 20 + 3 / 7), ("20w3d", 20 + 3 / 7), ("4", 4)],
)
def test_ages_as_people_write_them(text: str, weeks: float) -> None:
    assert weeks_of(text) == pytest.approx(weeks)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("filename\na.png\n", "has the columns filename"),
        ("hc_mm\n200\n", "has the columns hc_mm"),
        ("", "has the columns"),
        ("filename,hc_mm,HC_mm\na.png,200,201\n", "two columns have the same heading"),
        ("filename,hc_mm\na.png,200,1\n", "line 2: more cells than columns"),
        ('filename,hc_mm\n"a.png,200\n' + "x" * 200_000, "field larger than field limit"),
        ("filename,hc_mm\na.png,17.3\n", "line 2: an HC of 17.3 mm; is it in another unit"),
        ("filename,hc_mm\na.png,large\n", "line 2"),
        ("filename,hc_mm\na.png,200\na.png,201\n", "line 3: the same exam and fetus"),
        ("filename,hc_mm,ga_weeks\na.png,200,140\n", "line 2: an age of 140 weeks; are they days"),
    ],
)
def test_a_table_of_values_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ReferenceInvalid, match=message):
        read_references(table(tmp_path, text), NO_KEY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("filename,hc_mm\na.png,200\n", "has the columns"),
        ("study,due_date\n7,31.12.2026\n", "line 2"),
        ("study,ga_weeks\n7,nan\n", "line 2"),
    ],
)
def test_a_table_of_ages_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AgesInvalid, match=message):
        read_ages(table(tmp_path, text), NO_KEY)
