"""Studies, references, ages and reviews, from a ledger to what people see."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from rig.command import hc, hc_from_the_start
from rig.known_heads import MODEL, Known, random_phantom, result_of, store
from rig.stored_rows import put_row
from worker.exam import Exam
from worker.reference import AgeSource, Derivation, Reference
from worker.reports.compared import compared, studies_of_references
from worker.reports.document.comparisons import reviews_section
from worker.reports.exam_facts import sources_of
from worker.reports.studies import grouped, select_sights, select_studies, sight_of
from worker.result import Result, Status
from worker.store.filter import Filter
from worker.store.references import NewReference, insert_references
from worker.store.reviews import HumanMeasurement, Review, Verdict, add_review, reviewed
from worker.store.rows import count_without_study, newest_studies, select_rows
from worker.store.session import Database

ONE_DATABASE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""What is tested is what is told; how rows are asked for has tests of its own."""
SIZES = {"7.1": (170.0, 174.0, 171.0), "7.2": (250.0,), "7.3": (300.0, 306.0)}


@pytest.fixture
def batch(database: Database, tmp_path: Path) -> str:
    """Three studies; the scanner's report of the first, whose images are nowhere."""
    rng = np.random.default_rng(2)
    pixels, head, spacing = random_phantom(rng)
    path = tmp_path / "any.png"
    path.write_bytes(b"x")
    plain = result_of(Known(path, pixels, head, spacing), rng)
    results: list[tuple[str, Result]] = []
    for study, sizes in SIZES.items():
        for number, hc_mm in enumerate(sizes):
            name = f"{study}-{number}"
            results.append((f"/scans/{name}.dcm", of_study(plain, study, name, hc_mm)))
    name = store(database, results)
    said = Reference(
        hc_mm=172.5,
        ga_weeks=20.0,
        ga_source=AgeSource.EDD,
        derivation=Derivation.SINGLE,
        instances=1,
    )
    insert_references(database, name, [NewReference("/scans/report.dcm", "9.1", "7.1", said)])
    return name


def of_study(plain: Result, study: str, name: str, hc_mm: float) -> Result:
    sizes = replace(plain.sizes, hc_mm=hc_mm, hc_low_mm=hc_mm - 4, hc_high_mm=hc_mm + 4)
    uid = f"1.2.{name.replace('-', '.')}"
    return replace(
        plain,
        status=Status.MEASURED,
        exam=Exam(study_date=date(2026, 1, 15), accession_number=f"A{study}"),
        sizes=sizes,
        ellipse=replace(plain.ellipse, flags=()),
        file=replace(
            plain.file, study_instance_uid=study, sop_instance_uid=uid, sha256=name.ljust(64, "0")
        ),
    )


@ONE_DATABASE
@pytest.mark.usefixtures("batch")
def test_a_row_per_study(environment: dict[str, str], tmp_path: Path) -> None:
    done = hc(environment, "results", "--per", "study", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = {row["study_instance_uid"]: row for row in json.loads(done.stdout)}
    assert {study: row["hc_mm"] for study, row in rows.items()} == {
        "7.1": 171.0,
        "7.2": 250.0,
        "7.3": 303.0,
    }
    first = rows["7.1"]
    assert (first["reference_hc_mm"], first["reference_source"]) == (172.5, "report")
    assert (first["age_weeks"], first["age_source"]) == (20.0, "edd")
    assert first["growth_centile"] == pytest.approx(42, abs=2)
    assert first["hc_high_mm"] - first["hc_low_mm"] == pytest.approx(8 * 0.762, abs=0.05)
    assert rows["7.2"]["growth_centile"] is None
    ages = tmp_path / "ages.csv"
    ages.write_text("study_instance_uid,ga_weeks\n7.2,41\n7.9,20\n")
    given = hc(environment, "results", "--per", "study", "--ga", ages, "--format", "csv")
    assert "--ga: 1 of 2 rows match what was asked for" in given.stderr
    second = list(csv.DictReader(io.StringIO(given.stdout)))[1]
    assert (second["growth_reason"], second["growth_z"]) == ("age-outside-chart", "")
    last = hc(environment, "results", "--per", "study", "--limit", "1", "--format", "csv")
    assert [row["study_instance_uid"] for row in csv.DictReader(io.StringIO(last.stdout))] == [
        "7.3"
    ]
    alone = hc(environment, "results", "--ga", ages)
    assert (alone.returncode, "go with --per study" in alone.stderr) == (2, True)


@ONE_DATABASE
@pytest.mark.usefixtures("batch")
def test_ours_against_theirs_in_the_report(environment: dict[str, str], tmp_path: Path) -> None:
    table = tmp_path / "theirs.csv"
    table.write_text("study_instance_uid,hc_mm\n7.2,254\n7.3,300\n")
    page = tmp_path / "report.html"
    done = hc(environment, "report", "--reference", table, "--out", page)
    assert done.returncode == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    assert "3 heads are compared with" in text
    assert "the scanner&#39;s own report (1)" in text
    assert "the given table (2)" in text
    assert 'aria-label="Bland-Altman plot' in text
    assert 'aria-label="HC against gestational age on the centiles of intergrowth-2014"' in text
    assert text.count("No picture: The file is not there.") == 9  # 6 rows, and 3 worst cases
    assert '<th scope="row">all</th><td class="number">3</td><td class="number">-0.83</td>' in text
    nothing = tmp_path / "nothing.csv"
    nothing.write_text("study_instance_uid,hc_mm\n8.1,254\n8.2,200\n")
    said = hc(environment, "report", "--reference", nothing, "--format", "md")
    assert "--reference: 0 of 2 rows match what was asked for" in said.stderr
    assert "| all | 1 | -1.50 |" in said.stdout


@ONE_DATABASE
@pytest.mark.usefixtures("batch")
def test_a_summary_tells_how_far_they_agree(environment: dict[str, str], tmp_path: Path) -> None:
    by_report = hc_from_the_start(environment, "summary")
    assert by_report.returncode == 0, by_report.stderr
    all_of_them = next(line for line in by_report.stdout.splitlines() if line.startswith("all"))
    assert all_of_them.split() == ["all", "1", "-1.50", "1.50", "0.87"]
    table = tmp_path / "theirs.csv"
    table.write_text("study_instance_uid,hc_mm\n7.2,254\n7.3,300\n7.4,300\n")
    by_table = hc(environment, "summary", "--reference", table)
    all_of_them = next(line for line in by_table.stdout.splitlines() if line.startswith("all"))
    assert all_of_them.split()[:3] == ["all", "3", "-0.83"]
    assert "--reference: 2 of 3 rows match" in by_table.stderr


def test_what_is_read_by_column_is_what_rows_say(database: Database, batch: str) -> None:
    rows = [sight_of(row) for row in select_rows(database, Filter(batch=batch))]
    found = [replace(each, flags=bool(each.flags)) for each in select_sights(database, Filter())]
    assert found == rows
    assert len(rows) == 6
    assert grouped(found).uids == set(SIZES)


def test_studies_come_in_parts_and_the_newest_first(
    database: Database, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.reports.studies._STUDIES_AT_ONCE", 2)
    parts = list(select_studies(database, Filter(batch=batch)))
    assert [part.uids for part in parts] == [{"7.1", "7.2"}, {"7.3"}]
    assert [len(group.images) for part in parts for group in part.groups()] == [3, 1, 2]
    newest = list(select_studies(database, Filter(hc_to_mm=305.0), limit=2))
    assert [group.study for part in newest for group in part.groups()] == ["7.3", "7.2"]
    assert [len(group.images) for part in newest for group in part.groups()] == [1, 1]


def test_images_without_a_study_are_counted_once(database: Database, batch: str) -> None:
    first = put_row(database, batch, "/scans/a.png", hc_mm=180.0, sha256="a")
    put_row(database, batch, "/scans/b.png", "duplicate", duplicate_of=first, sha256="a")
    put_row(database, batch, "/scans/c.png", "queued")
    assert count_without_study(database, Filter(batch=batch)) == 2
    assert count_without_study(database, Filter(hc_from_mm=200.0)) == 0
    assert newest_studies(database, Filter(batch=batch), 1) == ["7.3"]


def test_studies_that_reports_speak_of_are_asked_for_alone(database: Database, batch: str) -> None:
    found = studies_of_references(database, Filter(batch=batch))
    assert found is not None
    assert found.uids == {"7.1"}
    assert studies_of_references(database, Filter(study="7.2")) is None
    sources = sources_of(database, found.uids)
    (pair,) = [each.pair for each in compared(sources.heads(found), sources)]
    assert (pair.ours_mm, pair.theirs_mm, pair.ga_weeks) == (171.0, 172.5, 20.0)


def test_reviews_stand_beside_the_instrument(database: Database, batch: str) -> None:
    scans = [row.scan_id for row in select_rows(database)]
    ellipse = HumanMeasurement(1, 1, 5, 4, 0, 172.0, 50, 60)
    said = [
        Review(scans[0], "ann", Verdict.REJECTED, MODEL, "poor-image"),
        Review(scans[0], "ann", Verdict.CORRECTED, MODEL, measurement=ellipse),
        Review(scans[1], "ann", Verdict.ACCEPTED, MODEL),
        Review(scans[1], "bob", Verdict.REJECTED, MODEL, "wrong-scale"),
        Review(scans[2], "bob", Verdict.ACCEPTED, "another model"),
    ]
    for number, review in enumerate(said):
        assert add_review(database, review, f"key-{number}")
    found = list(reviewed(database, Filter(batch=batch)))
    assert [each.instrument_hc_mm for each in found] == [170.0, 170.0, 174.0, 174.0]
    section = reviews_section(found)
    assert section is not None
    people, reasons, agreement = section.tables
    assert people.rows == [("ann", "2", "1", "0", "1", "50.0"), ("bob", "1", "0", "1", "0", "0.0")]
    assert reasons.rows == [("wrong-scale", "1")]
    assert agreement.rows[0][:3] == ("all", "1", "-2.00")
    assert reviews_section([]) is None
    assert list(reviewed(database, Filter(source="nowhere"))) == []
