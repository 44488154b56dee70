"""What a walk through a folder takes, and what it leaves with a reason."""

from __future__ import annotations

import os
import socket

import pytest
from PIL import Image
from pydicom.uid import (
    EncapsulatedPDFStorage,
    EnhancedUSVolumeStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    MediaStorageDirectoryStorage,
    SecondaryCaptureImageStorage,
    TwelveLeadECGWaveformStorage,
)

from worker import errors
from worker.reading import FileFormat, Skip, classify, read

SR = "1.2.840.10008.5.1.4.1.1.88.33"


@pytest.mark.parametrize(
    ("sop_class", "code"),
    [
        (MediaStorageDirectoryStorage, "dicomdir"),
        (SR, "structured-report"),
        (KeyObjectSelectionDocumentStorage, "structured-report"),
        (GrayscaleSoftcopyPresentationStateStorage, "presentation-state"),
        (EncapsulatedPDFStorage, "encapsulated-document"),
        (TwelveLeadECGWaveformStorage, "waveform"),
    ],
)
def test_dicom_without_a_picture_is_skipped_and_refused_by_name(image, save, sop_class, code):
    ds = image(SOPClassUID=sop_class)
    del ds.PixelData
    path = save(ds, "report.dcm")
    found = classify(path)
    assert isinstance(found, Skip)
    assert found.code == code
    with pytest.raises(errors.NoPixelData, match=found.reason):
        read(path)


@pytest.mark.parametrize("name", ["image.dcm", "IMG0001", "image.txt", "image.png"])
@pytest.mark.parametrize("sop_class", [None, SecondaryCaptureImageStorage, EnhancedUSVolumeStorage])
def test_dicom_image_is_told_by_content(image, save, name, sop_class):
    ds = image()
    if sop_class:
        ds.SOPClassUID = sop_class
    assert classify(save(ds, name)) is FileFormat.DICOM


@pytest.mark.parametrize(("form", "kind"), [("PNG", "png"), ("JPEG", "jpeg"), ("TIFF", "tiff")])
@pytest.mark.parametrize("name", ["no_extension", "wrong.dcm", "wrong.txt"])
def test_raster_is_told_by_content(tmp_path, form, kind, name):
    Image.new("L", (8, 8)).save(tmp_path / name, form)
    assert classify(tmp_path / name) is FileFormat(kind)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"%PDF-1.7\n", "pdf"),
        (b"\0\0\0\x18ftypmp42", "video"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "image-format"),
        (b"\0\0\0\x18ftypmif1", "image-format"),
        (b"\0\0\0\x1cftypavif", "image-format"),
        (b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0", "image-format"),
        (b"MM\0+\0\x08\0\0\0\0\0\0\0\0\0\x10", "image-format"),
        (b"\xff\x4f\xff\x51\0\x29", "image-format"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "image-format"),
        (b"RIFF\0\0\0\0AVI LIST", "video"),
        (b"\x1a\x45\xdf\xa3\x01", "video"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image-format"),
        (b"GIF89a", "image-format"),
        (b"BM\x36\0\0\0\0\0\0\0\x36", "image-format"),
        (b"PK\x03\x04", "archive"),
        (b"BMI;HC\n27;301\n", "text"),
        ("filename;größe".encode("latin-1"), "text"),
        (b"\x7fELF\x02\x01", "unknown"),
        (b"", "empty"),
    ],
)
def test_other_content_is_skipped_unless_its_name_claims_an_image(tmp_path, content, code):
    for name in ("file", "file.csv"):
        (tmp_path / name).write_bytes(content)
        found = classify(tmp_path / name)
        assert isinstance(found, Skip)
        assert found.code == code
        assert found.reason
    for name, kind in {
        "a.dcm": "dicom",
        "a.IMA": "dicom",
        "a.JPG": "jpeg",
        "a.tif": "tiff",
    }.items():
        (tmp_path / name).write_bytes(content)
        assert classify(tmp_path / name) is FileFormat(kind)
        with pytest.raises(errors.FileEmpty if not content else errors.NotAnImage):
            read(tmp_path / name)


def test_what_macos_keeps_beside_a_file_is_skipped_under_any_name(tmp_path):
    for name in ("._a.dcm", "._a.png", "a"):
        (tmp_path / name).write_bytes(b"\0\x05\x16\x07\0\x02\0\0" + b"Mac OS X        " * 30)
        found = classify(tmp_path / name)
        assert isinstance(found, Skip)
        assert found.code == "apple-double"
    Image.new("L", (8, 8)).save(tmp_path / "._b.png")
    assert classify(tmp_path / "._b.png") is FileFormat.PNG


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"II+\0\x08\0\0\0\x10\0\0\0", "BigTIFF"),
        (b"\xff\xd8\xff\xc1\0\x0b\x0c\0\x08\0\x08\x01\1\x11\0", "a JPEG image of 12 bits"),
        (b"\xff\xd8\xff\xc3\0\x0b\x08\0\x08\0\x08\x01\1\x11\0", "a lossless or"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "an image format that is not read"),
    ],
)
def test_a_refusal_says_what_the_file_is(tmp_path, content, said):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises((errors.NotAnImage, errors.UnsupportedPixels), match=said):
        read(tmp_path / "a.tif")


def test_never_opens_a_pipe_a_socket_or_a_device(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.dcm")
    # A socket's path may have 100 bytes at most, and tmp_path has more.
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket.png")
    for path in (tmp_path / "pipe.dcm", tmp_path / "socket.png", tmp_path, "/dev/zero"):
        found = classify(tmp_path / path)
        assert isinstance(found, Skip)
        assert found.code == "not-a-file"
        with pytest.raises(errors.NotAFile):
            read(tmp_path / path)


def test_broken_link_and_missing_file(tmp_path):
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    assert classify(link) == Skip("file-missing", "a file that is not there, or a broken link")
    named = tmp_path / "link.dcm"
    named.symlink_to(tmp_path / "nowhere")
    assert classify(named) is FileFormat.DICOM
    with pytest.raises(errors.FileMissing):
        read(named)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file(tmp_path):
    for name, expected in {"secret.dcm": FileFormat.DICOM, "secret": Skip}.items():
        (tmp_path / name).write_bytes(b"x")
        (tmp_path / name).chmod(0)
        found = classify(tmp_path / name)
        assert found is expected or isinstance(found, Skip)
        with pytest.raises(errors.FileUnreadable):
            read(tmp_path / name)


def test_damaged_file_meta_is_an_image_to_refuse(tmp_path):
    path = tmp_path / "IMG1"
    path.write_bytes(b"\0" * 128 + b"DICM" + b"\x02\x00\x02\x00UI\xff\xff")
    assert classify(path) is FileFormat.DICOM
    with pytest.raises(errors.FileDamaged):
        read(path)
