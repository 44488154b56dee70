"""Objects of measurements: valid by other people's tools, the same each time, nobody's name."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pytest
from click.testing import CliRunner
from fhir.resources.R4B.observation import Observation
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UltrasoundMultiFrameImageStorage

from cli.commands import cli
from rig.known_heads import known_dicom
from rig.pages import own_copy
from worker.errors import FileChanged, FileMissing, NotDicom
from worker.reading import read_image_reference, read_report
from worker.reading.sandbox.pool import ReaderPool
from worker.reference import NoReference
from worker.reports.objects.folder import Exported, export
from worker.reports.objects.forms import CAPTURE, FHIR, HC18, OBGYN, OBJECT_FORMS, SR, Form
from worker.reports.objects.keyed_uid import KEY_FILE, UidMaker, uid_maker
from worker.reports.objects.made import Making
from worker.reports.objects.measurement import measurement_of
from worker.result import FileIdentity, HeadSizes, Status
from worker.settings import Settings
from worker.store.filter import Filter
from worker.store.rows import ReportRow, select_rows
from worker.store.session import Database, open_database

Export = Callable[..., list[Exported]]
ALL = Filter()
UIDS = UidMaker(b"a key for tests")
NAME, NUMBER = "Müller^Jürgen", "4711-0815"
DICOM_FORMS = [SR, OBGYN, CAPTURE]
WORDS = ("Research use only", "nobody has confirmed", "which fetus it is")


@pytest.fixture(scope="module")
def measured(
    phantoms_measured: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    environment = own_copy(phantoms_measured, tmp_path_factory.mktemp("objects"))
    with open_database(Settings.from_environment(environment)) as database:
        yield database


@pytest.fixture(scope="module")
def readers() -> Iterator[ReaderPool]:
    """Reader processes for all tests of this file."""
    with ReaderPool() as pool:
        yield pool


@pytest.fixture(scope="module")
def export_rows(readers: ReaderPool) -> Export:
    def export_with(
        database: Database, form: Form, folder: Path, *, which: Filter = ALL, **how: Any
    ) -> list[Exported]:
        making = Making(form, **({"uids": UIDS, "readers": readers} | how))
        return list(export(database, which, folder, making))

    return export_with


@pytest.fixture(scope="module")
def objects(
    measured: Database, export_rows: Export, tmp_path_factory: pytest.TempPathFactory
) -> dict[Form, list[Exported]]:
    """Objects of all forms of the measured phantoms."""
    folder = tmp_path_factory.mktemp("all-forms")
    return {form: export_rows(measured, form, folder / form.name) for form in OBJECT_FORMS.values()}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A ledger without rows."""
    settings = Settings.from_environment({"HC_DATA_DIR": str(tmp_path / "data")})
    with open_database(settings) as database:
        yield database


def row_named(database: Database, name: str) -> ReportRow:
    return next(row for row in select_rows(database) if row.source.endswith(name))


def numbers(item: Dataset) -> list[tuple[str, float]]:
    """All lengths of a tree, in order, by code."""
    found = []
    for child in item.get("ContentSequence", []):
        if child.ValueType == "NUM":
            code = child.ConceptNameCodeSequence[0].CodeValue
            found.append((code, float(child.MeasuredValueSequence[0].NumericValue)))
        found += numbers(child)
    return found


def errors_of(path: Path) -> list[str]:
    """What dciodvfy has against the object."""
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy (Debian's dicom3tools) is not installed")
    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False).stderr
    return [line for line in said.splitlines() if "Error" in line or "Abort" in line]


@pytest.mark.parametrize("form", [SR, CAPTURE, FHIR], ids=lambda form: form.name)
def test_the_same_measurement_makes_the_same_bytes(
    objects: dict[Form, list[Exported]],
    measured: Database,
    export_rows: Export,
    form: Form,
    tmp_path: Path,
) -> None:
    before = next(each for each in objects[form] if each.path is not None)
    which = Filter(source=before.rows[0].source)
    (again,) = export_rows(measured, form, tmp_path / "again", which=which)
    (keyed,) = export_rows(measured, form, tmp_path / "key", which=which, uids=UidMaker(b"other"))
    contents = [each.path and each.path.read_bytes() for each in (before, again, keyed)]
    assert contents[0] == contents[1] != contents[2]


@pytest.mark.parametrize("form", DICOM_FORMS, ids=lambda form: form.name)
def test_dicom_objects_are_valid_by_others_rules(
    objects: dict[Form, list[Exported]], form: Form
) -> None:
    paths = [each.path for each in objects[form] if each.path is not None]
    assert len(paths) == {SR: 5, OBGYN: 1, CAPTURE: 7}[form]
    for path in paths[:2]:
        assert errors_of(path) == []
    if form is not CAPTURE and shutil.which("dsrdump") is not None:
        dump = ["dsrdump", "+Pl", paths[0]]
        text = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
        for words in ("PRELIMINARY", "UNVERIFIED", "PARTIAL", "Head Circumference", *WORDS):
            assert words in text


def test_an_imaging_report_says_what_the_row_says(objects: dict[Form, list[Exported]]) -> None:
    done = next(each for each in objects[SR] if each.rows[0].source.endswith("anisotropic.dcm"))
    row, source = done.rows[0], dcmread(done.rows[0].source)
    assert done.path is not None
    report = dcmread(done.path)
    assert report.StudyInstanceUID == source.StudyInstanceUID
    assert report.SeriesInstanceUID != source.SeriesInstanceUID
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    content = hd.sr.srread(done.path).content
    (group,) = content.get_planar_roi_measurement_groups()
    hc, bpd, ofd = group.get_measurements()
    assert hc.value == round(row.sizes.hc_mm or 0, 3)
    assert (bpd.value, ofd.value) == (
        round(row.sizes.bpd_mm or 0, 3),
        round(row.sizes.ofd_mm or 0, 3),
    )
    assert hc.unit.value == "mm"
    more, less = (item.value for item in hc[0].ContentSequence)
    assert more == round((row.sizes.hc_high_mm or 0) - (row.sizes.hc_mm or 0), 3)
    assert less == round((row.sizes.hc_mm or 0) - (row.sizes.hc_low_mm or 0), 3)
    region = group.roi
    assert region.graphic_type.value == "ELLIPSE"
    ends = region.value
    middle = ends[:2].mean(axis=0) - 0.5
    assert middle == pytest.approx([row.ellipse.center_x_px, row.ellipse.center_y_px], abs=1e-3)
    major, minor = (np.linalg.norm(ends[k + 1] - ends[k]) / 2 for k in (0, 2))
    assert major == pytest.approx(row.ellipse.semi_axis_a_px, abs=1e-3)
    assert minor == pytest.approx(row.ellipse.semi_axis_b_px, abs=1e-3)
    slope = math.atan2(*(ends[1] - ends[0])[::-1]) - (row.ellipse.angle_rad or 0)
    assert math.sin(slope) == pytest.approx(0, abs=1e-4)
    assert region.ContentSequence[0].referenced_sop_instance_uid == source.SOPInstanceUID


def test_an_obstetric_report_holds_each_head_of_a_study_with_its_age(
    objects: dict[Form, list[Exported]],
) -> None:
    done = objects[OBGYN]
    (report,) = [each for each in done if each.path is not None]
    assert {type(each.problem) for each in done if each.path is None} <= {NotDicom, type(None)}
    assert report.path is not None
    data = dcmread(report.path)
    assert data.ConceptNameCodeSequence[0].CodeValue == "125000"
    assert data.ContentTemplateSequence[0].TemplateIdentifier == "5000"
    lengths = [(code, value) for code, value in numbers(data) if code.startswith("11")]
    assert len(report.rows) == 5
    assert lengths == [
        pair
        for row in report.rows
        for pair in (
            ("11984-2", round(row.sizes.hc_mm or 0, 3)),
            ("11820-8", round(row.sizes.bpd_mm or 0, 3)),
            ("11851-3", round(row.sizes.ofd_mm or 0, 3)),
        )
    ]
    ages = [value for code, value in numbers(data) if code == "18185-9"]
    assert ages == [round(7 * (row.sizes.ga_weeks or 0), 1) for row in report.rows]
    assert "11932-1" in data.to_json()


def test_a_picture_refers_to_its_image_and_has_no_scale(
    objects: dict[Form, list[Exported]], measured: Database
) -> None:
    done = objects[CAPTURE]
    by_name = {Path(each.rows[0].source).name: each.path for each in done}
    path, flat = by_name["anisotropic.dcm"], by_name["sized.png"]
    assert path is not None
    assert flat is not None
    data = dcmread(path)
    source = dcmread(row_named(measured, "anisotropic.dcm").source)
    assert data.SourceImageSequence[0].ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert "PixelSpacing" not in data
    assert data.BurnedInAnnotation == "YES"
    assert all(words in data.ImageComments for words in WORDS)
    assert np.ptp(data.pixel_array.astype(int), axis=2).max() > 100
    alone = dcmread(flat)
    assert "SourceImageSequence" not in alone
    assert alone.StudyInstanceUID.startswith("2.25.")


def test_an_observation_is_one_of_r4(objects: dict[Form, list[Exported]]) -> None:
    done = objects[FHIR]
    assert sum(each.path is not None for each in done) == 7
    for each in done:
        if each.path is None:
            continue
        row, content = each.rows[0], each.path.read_text()
        resource = Observation.model_validate_json(content)
        assert (resource.status, resource.code.coding[0].code) == ("preliminary", "11984-2")
        assert float(resource.valueQuantity.value) == round(row.sizes.hc_mm or 0, 3)
        assert (resource.valueQuantity.code, resource.device.reference) == ("mm", "#device")
        said = json.loads(content)
        assert all(words in json.dumps(said["note"]) for words in WORDS)
        source = row.file.sop_instance_uid or row.file.sha256
        assert source in json.dumps(said["derivedFrom"])
        assert len(said["component"]) == 5


def test_the_table_is_the_ellipse_in_millimetres(
    objects: dict[Form, list[Exported]], measured: Database
) -> None:
    (done,) = objects[HC18]
    assert done.path is not None
    assert (done.path.name, len(done.rows)) == ("submission.csv", 7)
    with done.path.open() as lines:
        table = {line["filename"]: line for line in csv.DictReader(lines)}
    assert list(table) == [Path(row.source).name for row in done.rows]
    line, row = table["anisotropic.dcm"], row_named(measured, "anisotropic.dcm")
    a_mm, b_mm = float(line["semi_axes_a_mm"]), float(line["semi_axes_b_mm"])
    assert (2 * a_mm, 2 * b_mm) == pytest.approx((row.sizes.ofd_mm, row.sizes.bpd_mm), abs=1e-5)
    assert float(line["center_x_mm"]) == pytest.approx((row.ellipse.center_x_px or 0) * 0.25)
    assert float(line["center_y_mm"]) == pytest.approx((row.ellipse.center_y_px or 0) * 0.20)


@pytest.mark.parametrize("form", [*DICOM_FORMS, FHIR, HC18], ids=lambda form: form.name)
def test_the_patient_is_named_where_that_was_asked_for_and_nowhere_else(
    database: Database, export_rows: Export, form: Form, tmp_path: Path
) -> None:
    known_dicom(
        database,
        tmp_path,
        SpecificCharacterSet="ISO_IR 100",
        PatientName=NAME,
        PatientID=NUMBER,
        PatientBirthDate="19880412",
        StudyDate="20260102",
    )
    (plain,) = export_rows(database, form, tmp_path / "plain")
    assert plain.path is not None
    content = plain.path.read_bytes()
    for text in (NAME.encode(), NAME.encode("latin-1"), b"rgen", NUMBER.encode(), b"19880412"):
        assert text not in content
    assert b"20260102" not in content
    if form.is_dicom:
        (back,) = export_rows(database, form, tmp_path / "back", with_patient=True)
        assert back.path is not None
        named, bare = dcmread(back.path), dcmread(plain.path)
        assert (named.PatientName, named.PatientID) == (NAME, NUMBER)
        assert (named.PatientBirthDate, named.StudyDate) == ("19880412", "20260102")
        assert (bare.PatientName, bare.PatientID, bare.StudyDate) == ("", "", "")
        assert named.SOPInstanceUID != bare.SOPInstanceUID


def test_a_frame_of_a_loop_is_named(
    database: Database, export_rows: Export, tmp_path: Path
) -> None:
    _, head = known_dicom(
        database, tmp_path, SOPClassUID=UltrasoundMultiFrameImageStorage, NumberOfFrames="2"
    )
    (done,) = export_rows(database, SR, tmp_path / "out")
    assert done.path is not None
    (group,) = hd.sr.srread(done.path).content.get_planar_roi_measurement_groups()
    assert group.roi.ContentSequence[0].referenced_frame_numbers == [1]
    assert group.roi.value[:2].mean(axis=0) == pytest.approx(head.center_px + 0.5)


def test_an_image_that_is_gone_or_another_is_refused_by_name(
    database: Database, export_rows: Export, tmp_path: Path
) -> None:
    path, _ = known_dicom(database, tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:-2] + b"\x01\x02")
    (changed,) = export_rows(database, SR, tmp_path / "out")
    assert isinstance(changed.problem, FileChanged)
    path.unlink()
    for form in DICOM_FORMS:
        (gone,) = export_rows(database, form, tmp_path / "out")
        assert isinstance(gone.problem, FileMissing)
    assert list((tmp_path / "out").iterdir()) == []
    (still,) = export_rows(database, FHIR, tmp_path / "out")
    assert still.path is not None


def test_another_value_is_another_object(database: Database, tmp_path: Path) -> None:
    """A UID may never stand for two contents."""
    known_dicom(database, tmp_path)
    row = next(select_rows(database))
    other = replace(row.sizes, hc_mm=(row.sizes.hc_mm or 0) + 0.001)
    one, two = measurement_of(row), measurement_of(replace(row, sizes=other))
    assert one is not None
    assert two is not None
    assert one.identity != two.identity
    assert measurement_of(replace(row, sizes=HeadSizes())) is None
    again = measurement_of(replace(row, batch="another", source="/elsewhere", scan_id=99))
    assert again is not None
    assert again.identity == one.identity
    duplicate = measurement_of(replace(row, status=Status.DUPLICATE, file=FileIdentity()))
    assert duplicate is not None
    assert duplicate.identity != one.identity


def test_our_own_report_is_not_taken_for_a_scanners(objects: dict[Form, list[Exported]]) -> None:
    for form in (SR, OBGYN):
        done = next(each for each in objects[form] if each.path is not None)
        assert done.path is not None
        report = read_report(done.path)
        assert (report.problem, report.references) == (NoReference.OWN, ())


def test_uids_are_of_one_key_and_legal(tmp_path: Path) -> None:
    settings = Settings.from_environment({"HC_DATA_DIR": str(tmp_path / "data")})
    first, second = uid_maker(settings), uid_maker(settings)
    assert first.key == second.key
    assert (tmp_path / "data" / KEY_FILE).stat().st_mode & 0o077 == 0
    assert [each.name for each in (tmp_path / "data").iterdir()] == [KEY_FILE]
    made = first.uid("series", "a", "b")
    assert made == second.uid("series", "a", "b")
    assert made != first.uid("series", "ab")
    assert made != first.uid("instance", "a", "b")
    assert len(made) <= 64
    given = Settings.from_environment({"HC_DATA_DIR": str(tmp_path), "HC_UID_KEY": "k" * 32})
    assert uid_maker(given).key == b"k" * 32
    assert "k" * 32 not in repr((given, uid_maker(given)))


def test_the_command_tells_what_it_left_out(
    measured: Database, phantoms_measured: dict[str, str], tmp_path: Path, monkeypatch: Any
) -> None:
    url = str(measured.engine.url)
    data_dir = str(tmp_path / "state")
    for name in [name for name in os.environ if name.startswith("HC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HC_DATABASE_URL", url)
    monkeypatch.setenv("HC_DATA_DIR", data_dir)
    words = ["export", "last", "--format", "dicom-sr", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 3, done.output
    assert "5 files in" in done.output
    assert done.output.count("[not-dicom]") == 2
    assert len(list((tmp_path / "out").iterdir())) == 5
    only = CliRunner().invoke(cli, [*words, "--source", "early.dcm", "--limit", "1"])
    assert (only.exit_code, "1 files in" in only.output) == (0, True)
    mixed = CliRunner().invoke(cli, [*words, "--format", "fhir", "--with-patient"])
    assert mixed.exit_code != 0


def test_a_patients_tags_of_no_legal_form_are_left_out(database: Database, tmp_path: Path) -> None:
    path, _ = known_dicom(database, tmp_path, PatientSex="M", PatientID="A" * 64)
    data = dcmread(path)
    data.add_new("PatientBirthDate", "LO", "in spring")
    data.add_new("StudyID", "LO", "line\nbreak")
    data.save_as(path, enforce_file_format=True)
    image = read_image_reference(path, with_patient=True)
    assert image.patient == {
        "PatientName": "Phantom^Sample",
        "PatientID": "A" * 64,
        "PatientSex": "M",
    }
    assert read_image_reference(path).patient == {}
    assert "Phantom" not in repr(image)
