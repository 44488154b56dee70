"""What an image's tags tell of its exam and scanner, and what they must not."""

from __future__ import annotations

import hashlib
import hmac
from datetime import date

import pytest

from worker.exam import NO_EXAM, Exam, Pseudonyms
from worker.reading import read
from worker.reading.sandbox.pool import ReaderPool

KEY = "a key of this test alone"
NUMBER = "A-4711"
HASHED = hmac.new(KEY.encode(), NUMBER.encode(), hashlib.sha256).hexdigest()
SERIES = "1.2.826.0.1.3680043.8.498.3"


@pytest.fixture
def exam_of(image, region, save):
    def said(**changes: object) -> Exam:
        return read(save(image(region(), **changes)), pseudonyms=Pseudonyms(KEY)).exam

    return said


def test_exam_and_scanner_are_read_the_same_in_the_sandbox(image, region, save):
    path = save(
        image(
            region(),
            StudyDate="20260131",
            AccessionNumber=f" {NUMBER} ",
            Manufacturer="GE Healthcare",
            ManufacturerModelName="Voluson E10",
            SoftwareVersions=["21.0.1", "EC300"],
        )
    )
    told = Exam(date(2026, 1, 31), HASHED, SERIES, "GE Healthcare Voluson E10", "21.0.1, EC300")
    assert read(path, pseudonyms=Pseudonyms(KEY)).exam == told
    with ReaderPool(pseudonyms=Pseudonyms(KEY)) as pool:
        assert pool.read(path).exam == told


@pytest.mark.parametrize(
    ("pseudonyms", "kept"),
    [
        (Pseudonyms(), None),
        (Pseudonyms(KEY), HASHED),
        (Pseudonyms(KEY, is_plain=True), NUMBER),
        (Pseudonyms(is_plain=True), NUMBER),
    ],
)
def test_an_accession_number_is_kept_as_was_asked(pseudonyms, kept):
    assert pseudonyms.of(f"{NUMBER} \0") == kept
    assert pseudonyms.of(" ") is pseudonyms.of(None) is None
    assert KEY not in repr(pseudonyms)


def test_another_key_is_another_hash():
    assert Pseudonyms(KEY).of(NUMBER) != Pseudonyms(KEY + "!").of(NUMBER)


@pytest.mark.parametrize(
    ("maker", "model", "machine"),
    [
        ("SAMSUNG", "samsung WS80A", "samsung WS80A"),
        ("Canon", None, "Canon"),
        (None, "EPIQ 7G", "EPIQ 7G"),
        ("Mustermann^Erika", "EPIQ 7G", "EPIQ 7G"),
        ("Philips", "E" * 64, f"Philips {'E' * 64}"),
        ("Philips", "...", "Philips"),
        (None, None, None),
    ],
)
def test_a_machine_is_its_maker_and_model(exam_of, maker, model, machine):
    tags = {"Manufacturer": maker, "ManufacturerModelName": model}
    given = {name: value for name, value in tags.items() if value is not None}
    assert exam_of(**given).machine == machine


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientName", "Voluson^Erika"),
        ("PatientID", "77-VOLUSON"),
        ("OperatorsName", "voluson"),
        ("ReferringPhysicianName", "Dr^Voluson"),
        ("AccessionNumber", "voluson 7"),
    ],
)
def test_a_machine_with_a_word_of_a_person_is_dropped(exam_of, keyword, value):
    names = {"ManufacturerModelName": "Voluson E10", "SoftwareVersions": "EC300"}
    exam = exam_of(**names, **{keyword: value})
    assert (exam.machine, exam.software_version) == (None, "EC300")


def test_a_text_that_is_too_long_for_a_name_is_dropped(exam_of):
    assert (
        exam_of(SoftwareVersions=["1" * 31, "1" * 31]).software_version == f"{'1' * 31}, {'1' * 31}"
    )
    assert exam_of(SoftwareVersions=["1" * 31, "1" * 32]).software_version is None


def test_short_words_are_nobodys_name(exam_of):
    assert exam_of(ManufacturerModelName="E 10", PatientName="E^10").machine == "E 10"


@pytest.mark.parametrize(
    ("study", "birth", "day"),
    [
        ("20260131", "19900101", date(2026, 1, 31)),
        ("19900101", "19900101", None),
        ("20260230", "", None),
        ("", "", None),
    ],
)
def test_a_study_date_is_a_day_and_no_birth_date(exam_of, study, birth, day):
    assert exam_of(StudyDate=study, PatientBirthDate=birth).study_date == day


def test_an_image_without_tags_has_no_exam(tmp_path):
    from PIL import Image

    Image.new("L", (30, 20)).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png").exam == NO_EXAM
