"""Nothing that tells who was scanned leaves this room, wherever in a file it stands."""

from __future__ import annotations

import logging
import traceback
import warnings

import pytest
from pydicom.datadict import keyword_for_tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, UltrasoundImageStorage

from worker.errors import HcBatchError
from worker.reading import FramePolicy, classify, frame_indices, read
from worker.reading.dicom import _TAGS
from worker.reading.inspect import inspect
from worker.reading.sandbox.messages import from_scan

NAME, NUMBER, BIRTH_DATE = "Mustermann^Erika", "4711-0815", "19880412"
PLANTED = (NAME, "Mustermann", "Erika", NUMBER, BIRTH_DATE)
PERSONAL = {
    "PatientName": NAME,
    "PatientID": NUMBER,
    "PatientBirthDate": BIRTH_DATE,
    "OtherPatientIDs": NUMBER,
    "AccessionNumber": NUMBER,
    "PatientComments": NAME,
    "ImageComments": NAME,
    "StudyDescription": NAME,
    "DerivationDescription": NAME,
    "ReferringPhysicianName": NAME,
}
# The two of the file meta have a test of their own.
READ = [keyword_for_tag(tag) for tag in _TAGS if tag not in (0x00080016, 0x00080018)]


def everything_said(path, caplog, capfd) -> str:
    """Whatever reading gives back, raises, warns, logs or prints."""
    said = [repr(classify(path)), repr(frame_indices(path, FramePolicy.parse("all")))]
    with warnings.catch_warnings(record=True) as warned, caplog.at_level(logging.DEBUG):
        warnings.simplefilter("always")
        try:
            scan = read(path)
            said += [repr(scan), repr(from_scan(scan)[0])]
        except HcBatchError as refusal:
            said += [str(refusal), refusal.detail, *traceback.format_exception(refusal)]
        said.append(repr(inspect(path)))
    out, err = capfd.readouterr()
    return "\n".join([*said, *(str(w.message) for w in warned), caplog.text, out, err])


def plant(ds, keyword: str, text: str) -> None:
    # As LO the tag takes any text, and implicit VR does not tell that it is none.
    ds.add_new(keyword, "LO", text)


def assert_silent(said: str) -> None:
    for text in PLANTED:
        assert text not in said


def test_personal_tags_stay_inside(image, region, save, caplog, capfd):
    ds = image(region(), **PERSONAL)
    ds.RequestAttributesSequence = [image(**PERSONAL)]
    ds.add_new(0x00091001, "LO", NAME)
    assert_silent(everything_said(save(ds), caplog, capfd))


@pytest.mark.parametrize("text", [NAME, NUMBER, BIRTH_DATE])
@pytest.mark.parametrize("keyword", READ)
def test_text_in_the_wrong_tag_stays_inside(image, region, save, caplog, capfd, keyword, text):
    for ds in (image(**PERSONAL), image(region(), **PERSONAL)):
        ds["PixelData"].VR = "OB"
        plant(ds, keyword, text)
        path = save(ds, transfer_syntax=ImplicitVRLittleEndian)
        assert_silent(everything_said(path, caplog, capfd))


@pytest.mark.parametrize("text", [NAME, NUMBER, BIRTH_DATE, "1.5\\" + NAME])
def test_text_as_pixel_spacing_stays_inside(image, region, save, caplog, capfd, text):
    for ds in (image(), image(region())):
        plant(ds, "PixelSpacing", text)
        path = save(ds, transfer_syntax=ImplicitVRLittleEndian)
        assert_silent(everything_said(path, caplog, capfd))


@pytest.mark.parametrize(
    "keyword",
    ["PhysicalDeltaX", "RegionDataType", "RegionLocationMinX0", "PhysicalUnitsXDirection"],
)
def test_text_inside_a_region_stays_inside(image, region, save, caplog, capfd, keyword):
    item = region()
    plant(item, keyword, NAME)
    path = save(image(item), transfer_syntax=ImplicitVRLittleEndian)
    assert_silent(everything_said(path, caplog, capfd))


@pytest.mark.parametrize("suffix", ["", ".dcm", ".png"])
@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n", b"\0" * 128 + b"DICM"])
def test_names_of_files_stay_inside(tmp_path, caplog, capfd, suffix, content):
    path = tmp_path / f"{NAME}_{BIRTH_DATE}{suffix}"
    path.write_bytes(content)
    assert_silent(everything_said(path, caplog, capfd))
    assert_silent(everything_said(tmp_path / f"missing{NAME}", caplog, capfd))


def test_file_meta_stays_inside(image, region, save, caplog, capfd):
    data = save(image(region())).read_bytes()
    path = save(image())
    uids = (ExplicitVRLittleEndian, UltrasoundImageStorage, "1.2.826.0.1.3680043.8.498.1")
    for uid in uids:
        old = uid.encode() + b"\0" * (len(uid) % 2)
        for count in (1, 2):
            assert data.count(old) >= 1
            path.write_bytes(data.replace(old, NAME.encode().ljust(len(old), b" "), count))
            assert_silent(everything_said(path, caplog, capfd))
