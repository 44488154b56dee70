"""Scanners' own reports: what is taken from them, what is refused, and that no text leaves."""

from __future__ import annotations

import random
import re
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from rig.exam_reports import (
    HC,
    Head,
    Maker,
    day,
    drawn,
    image,
    item,
    main,
    number,
    report,
    save,
    text,
)
from worker import errors
from worker.reading import read_report
from worker.reading.limits import MAX_REPORT_ITEMS
from worker.reading.sandbox.pool import ReaderPool
from worker.reference import AgeSource, Derivation, ExamReport, NoReference


def said(ds: Dataset, tmp_path: Path) -> ExamReport:
    return read_report(save(ds, tmp_path / "report.dcm"))


@pytest.mark.parametrize("seed", range(60))
def test_any_report_is_read_back(seed: int, tmp_path: Path) -> None:
    ds, heads, maker = drawn(random.Random(f"report {seed}"))
    found = said(ds, tmp_path)
    assert found.problem is None
    assert found.study_instance_uid == ds.StudyInstanceUID
    assert len(found.references) == len(heads)
    for reference, head in zip(found.references, heads, strict=True):
        assert reference.fetus == head.name
        assert reference.hc_mm == pytest.approx(head.hc_mm)
        assert reference.bpd_mm == (head.bpd_mm and pytest.approx(head.bpd_mm))
        assert reference.ofd_mm == (head.ofd_mm and pytest.approx(head.ofd_mm))
        assert list(reference.image_uids) == head.images
        assert reference.ga_weeks is None
        expected = {
            Maker.PER_IMAGE: Derivation.MEAN,
            Maker.PER_STUDY: Derivation.CHOSEN,
            Maker.GROUPS: Derivation.SINGLE,
        }
        assert reference.derivation is expected[maker]


def test_the_sandbox_gives_what_reading_gives(tmp_path: Path) -> None:
    main(tmp_path)
    with ReaderPool() as pool:
        for path in sorted(tmp_path.iterdir()):
            assert pool.read_report(path) == read_report(path)
        (tmp_path / "text.dcm").write_text("no report")
        with pytest.raises(errors.NotAnImage):
            pool.read_report(tmp_path / "text.dcm")


def test_where_it_stood_is_told_by_known_headings_alone(tmp_path: Path) -> None:
    ds = report(Maker.PER_STUDY, [])
    own = ("99-X", "99MAKER", "Mrs Secret's section")
    strange = ("Mrs Secret", "99MAKER", "her section")
    value = number(HC, 17.25, "cm")
    ds.ContentSequence = [
        item("CONTAINER", own, "CONTAINS", item("CONTAINER", strange, "CONTAINS", value))
    ]
    (reference,) = said(ds, tmp_path).references
    assert reference.hc_where == (
        "OB-GYN Ultrasound Procedure Report > (99-X, 99MAKER) > (unnamed) > Head Circumference"
    )
    assert reference.derivation is Derivation.SINGLE


def test_several_instances_without_a_mean_are_averaged(tmp_path: Path) -> None:
    ds = report(Maker.PER_STUDY, [])
    ds.ContentSequence = [number(HC, mm, "mm", image(f"1.2.{mm}")) for mm in (170, 173, 176)]
    (reference,) = said(ds, tmp_path).references
    assert reference.hc_mm == pytest.approx(173)
    assert (reference.derivation, reference.instances) == (Derivation.MEAN_OF_INSTANCES, 3)


@pytest.mark.parametrize(
    ("heads", "fetuses", "problem"),
    [
        ([Head(171.0), Head(168.0)], None, NoReference.FETUSES_UNNAMED),
        ([Head(171.0)], 2, NoReference.FETUSES_UNNAMED),
        ([Head(171.0, name="A"), Head(168.0)], 2, NoReference.FETUSES_UNNAMED),
        (
            [Head(171.0, name="Mrs Smith"), Head(168.0, name="Jones")],
            2,
            NoReference.FETUSES_UNNAMED,
        ),
        ([Head(171.0, name="A"), Head(150.0, name="A")], None, NoReference.CONTRADICTION),
        ([Head(None, 47.0)], None, NoReference.NO_HC),
        ([], None, NoReference.NO_HC),
    ],
)
@pytest.mark.parametrize("maker", [Maker.PER_IMAGE, Maker.PER_STUDY])
def test_what_is_unclear_is_refused_by_name(maker, heads, fetuses, problem, tmp_path: Path) -> None:
    found = said(report(maker, heads, fetuses=fetuses), tmp_path)
    assert (found.references, found.problem) == ((), problem)


@pytest.mark.parametrize("unit", ["[in_i]", "g", "", "px"])
def test_a_length_in_another_unit_is_none(unit: str, tmp_path: Path) -> None:
    ds = report(Maker.PER_STUDY, [])
    ds.ContentSequence = [number(HC, 17.25, unit)]
    assert said(ds, tmp_path).problem is NoReference.UNIT_UNKNOWN


@pytest.mark.parametrize("value", ["nan", "inf", "-172", "0", "1e9", ""])
def test_an_impossible_length_is_none(value: str, tmp_path: Path) -> None:
    ds = report(Maker.PER_STUDY, [])
    ds.ContentSequence = [number(HC, 172, "mm")]
    measured = ds.ContentSequence[0].MeasuredValueSequence[0]
    measured.add_new("NumericValue", "SH", value)
    assert said(ds, tmp_path).references == ()


AGES = {
    "lmp": (number(("11885-1", "LN", "GA by LMP"), 20.0, "wk"), 20.0, AgeSource.LMP),
    "lmp in days": (number(("11885-1", "LN", "GA by LMP"), 140, "d"), 20.0, AgeSource.LMP),
    "edd": (day(("11778-8", "LN", "EDD"), "20260604"), 20.0, AgeSource.EDD),
    "last period": (day(("8665-2", "LN", "LMP"), "20250828"), 20.0, AgeSource.LMP),
    "from ultrasound": (number(("11888-5", "LN", "Composite age"), 20.0, "wk"), None, None),
    "edd from ultrasound": (day(("11781-2", "LN", "EDD from AUA"), "20260604"), None, None),
    "of this head": (number(("18185-9", "LN", "Gestational Age"), 20.0, "wk"), None, None),
    "impossible": (number(("11885-1", "LN", "GA by LMP"), 90.0, "wk"), None, None),
    "no date": (day(("11778-8", "LN", "EDD"), "soon"), None, None),
}


@pytest.mark.parametrize("kind", AGES)
def test_an_age_is_taken_unless_it_rests_on_this_ultrasound(kind: str, tmp_path: Path) -> None:
    age, weeks, source = AGES[kind]
    ds = report(Maker.PER_STUDY, [Head(172.0)], study_date="20260115")
    ds.ContentSequence.append(age)
    (reference,) = said(ds, tmp_path).references
    assert reference.ga_weeks == (weeks and pytest.approx(weeks, abs=0.01))
    assert reference.ga_source is source


def test_no_text_of_the_report_comes_along(tmp_path: Path) -> None:
    ds = report(Maker.PER_STUDY, [Head(172.0, name="Secret")])
    ds.ContentSequence.append(text(("121106", "DCM", "Secret comment"), "Secret", "CONTAINS"))
    assert "secret" not in repr(said(ds, tmp_path)).lower()


def nested(levels: int) -> Dataset:
    inner = number(HC, 172, "mm")
    for _ in range(levels):
        inner = item("CONTAINER", ("121070", "DCM", "Findings"), "CONTAINS", inner)
    ds = report(Maker.PER_STUDY, [])
    ds.ContentSequence = [inner]
    return ds


def test_hostile_trees_are_refused_soon(tmp_path: Path) -> None:
    with pytest.raises(errors.ScanRejected):
        said(nested(100), tmp_path)
    broad = report(Maker.PER_STUDY, [])
    broad.ContentSequence = [Dataset() for _ in range(MAX_REPORT_ITEMS + 1)]
    with pytest.raises(errors.TooLarge):
        said(broad, tmp_path)
    loops = report(Maker.PER_STUDY, [Head(172.0)])
    pointer = Dataset()
    pointer.ReferencedContentItemIdentifier = [1] * 60
    loops.ContentSequence[-1].ContentSequence[-1].ContentSequence[-1].ContentSequence += [pointer]
    assert len(said(loops, tmp_path).references) == 1


def test_a_value_of_no_known_kind_is_refused_or_passed_over(tmp_path: Path) -> None:
    draw = random.Random(7)
    path = save(report(Maker.PER_STUDY, [Head(172.0, name="A")]), tmp_path / "report.dcm")
    sound = path.read_bytes()
    for vr in (b"UT", b"SH", b"DS", b"CS", b"UI"):
        for place in re.finditer(vr, sound[400:]):
            at = 400 + place.start()
            kind = bytes([draw.randrange(0x41, 0x5B), draw.randrange(256)])
            path.write_bytes(sound[:at] + kind + sound[at + 2 :])
            with suppress(errors.ScanRejected):
                read_report(path)


def test_damaged_reports_raise_nothing_else(tmp_path: Path) -> None:
    draw = random.Random(5)
    path = save(drawn(draw)[0], tmp_path / "report.dcm")
    sound = path.read_bytes()
    for _ in range(300):
        data = bytearray(sound)
        for _ in range(draw.randint(1, 8)):
            data[draw.randrange(140, len(data))] = draw.randrange(256)
        path.write_bytes(data[: draw.randint(200, len(data))] if draw.random() < 0.3 else data)
        try:
            read_report(path)
        except errors.ScanRejected:
            continue
