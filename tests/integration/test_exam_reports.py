"""Scanners' own reports among the files: kept to compare with, and no scans."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from rig.exam_reports import Head, Maker, main, report, save
from worker.intake.discover import Options, Request
from worker.intake.submit import take_in
from worker.queue.hints import Hints
from worker.reference import Derivation
from worker.roots import Roots
from worker.sample_files import write_samples
from worker.store.batches import BatchKind
from worker.store.progress import counts, skipped_files
from worker.store.references import references_of
from worker.store.session import Database


def taken(database: Database, *paths: Path, roots: Roots = Roots()) -> str:  # noqa: B008 - frozen
    request = Request.of(paths, Options(), roots)
    return take_in(database, BatchKind.RUN, request, Hints(None), lambda _: None).batch


def test_reports_are_kept_beside_the_images_and_are_no_scans(
    database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "exam"
    main(folder)
    (folder / "broken.dcm").write_bytes((folder / "groups.dcm").read_bytes()[:-40])
    write_samples(folder / "images")
    batch = taken(database, folder)
    reasons = {
        Path(skip.source).stem: skip.reason
        for skip in skipped_files(database, batch)
        if skip.code == "structured-report"
    }
    kept = "a structured report: its HC is kept to compare with"
    assert reasons["per-image"] == reasons["per-study-cm"] == reasons["groups"] == kept
    assert reasons["twins"] == f"{kept}, 2 fetuses"
    assert "--reference" in reasons["twins-unnamed"]
    assert reasons["without-hc"] == "a structured report: no head circumference in it"
    assert "file-damaged" in reasons["broken"]
    scans = sum(counts(database, batch).values())
    assert scans == sum(counts(database, taken(database, folder / "images")).values())


def test_the_newest_report_of_a_fetus_counts(database: Database, tmp_path: Path) -> None:
    study = "1.2.826.0.1.3680043.8.498.7"
    for number, hc_mm in enumerate((171.0, 173.5)):
        heads = [Head(hc_mm, name="A"), Head(hc_mm - 4, 46.0, name="B")]
        save(report(Maker.PER_STUDY, heads, study=study), tmp_path / f"{number}.dcm")
        taken(database, tmp_path / f"{number}.dcm")
    found = references_of(database, [study, "1.2.3"])
    assert list(found) == [study]
    assert found[study]["A"].hc_mm == pytest.approx(173.5)
    assert found[study]["B"].hc_mm == pytest.approx(169.5)
    assert found[study]["B"].bpd_mm == pytest.approx(46.0)
    assert found[study]["B"].derivation is Derivation.CHOSEN


def test_the_same_again_adds_nothing(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "exam"
    folder.mkdir()
    save(report(Maker.PER_STUDY, [Head(172.0)], study="1.2.3.4"), folder / "report.dcm")
    (folder / "image.png").write_bytes(b"none")
    first = taken(database, folder)
    assert taken(database, folder) == first  # unfinished, so it goes on
    assert len(skipped_files(database, first)) == 1
    assert len(references_of(database, ["1.2.3.4"])["1.2.3.4"]) == 1


def test_nothing_outside_the_roots_is_read(database: Database, tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    main(outside)
    (inside / "link.dcm").symlink_to(outside / "groups.dcm")
    batch = taken(database, inside, roots=Roots({"scans": inside}))
    assert not [s for s in skipped_files(database, batch) if s.code == "structured-report"]


def test_hundreds_of_studies_are_asked_for_at_once(database: Database) -> None:
    assert references_of(database, [f"1.2.{n}" for n in range(3000)]) == {}
    assert threading.active_count() < 10
