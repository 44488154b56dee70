"""What a file is, by its content: an image to measure, or something to skip with a reason."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from worker.errors import FileEmpty, HcBatchError, ScanRejected
from worker.reading.dicom_structure import read_meta
from worker.reading.source import Source, open_source


class Kind(StrEnum):
    """Formats that can be measured."""

    DICOM = "dicom"
    PNG = "png"
    JPEG = "jpeg"
    TIFF = "tiff"


@dataclass(frozen=True, slots=True)
class Skip:
    """A file in a folder that is not there to be measured, and why."""

    code: str
    reason: str


_EXTENSIONS = {
    ".dcm": Kind.DICOM,
    ".dicom": Kind.DICOM,
    ".ima": Kind.DICOM,
    ".png": Kind.PNG,
    ".jpg": Kind.JPEG,
    ".jpeg": Kind.JPEG,
    ".tif": Kind.TIFF,
    ".tiff": Kind.TIFF,
}

_IMAGE_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", Kind.PNG),
    (b"\xff\xd8\xff", Kind.JPEG),
    (b"II*\0", Kind.TIFF),
    (b"MM\0*", Kind.TIFF),
)

_VIDEO = Skip("video", "a video file; export single frames or a DICOM cine loop")
_PICTURE = Skip("image-format", "an image format that is not read; export PNG, TIFF or DICOM")
_ARCHIVE = Skip("archive", "an archive or office document; unpack it first")
_OTHER_MAGIC = (
    (b"%PDF", Skip("pdf", "a PDF document")),
    (b"\x00\x00\x01\xba", _VIDEO),
    (b"\x00\x00\x01\xb3", _VIDEO),
    (b"\x1a\x45\xdf\xa3", _VIDEO),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _VIDEO),
    (b"GIF8", _PICTURE),
    (b"\x00\x00\x00\x0cjP  ", _PICTURE),
    (b"PK\x03\x04", _ARCHIVE),
    (b"\x1f\x8b", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
)
_RIFF = {b"AVI ": _VIDEO, b"WEBP": _PICTURE}
_TEXT = Skip("text", "a text file")
_UNKNOWN = Skip("unknown", "neither DICOM nor PNG, JPEG or TIFF")

_CLASS = "1.2.840.10008.5.1.4.1.1."
_DICOM_OBJECTS = (
    ("1.2.840.10008.1.3.10", Skip("dicomdir", "a DICOMDIR, the table of contents of a medium")),
    (_CLASS + "88.", Skip("structured-report", "a structured report or key object selection")),
    (_CLASS + "11.", Skip("presentation-state", "a presentation state")),
    (_CLASS + "104.", Skip("encapsulated-document", "a document inside DICOM, such as a PDF")),
    (_CLASS + "9.", Skip("waveform", "a waveform, such as an ECG")),
    (_CLASS + "66", Skip("dicom-data", "raw data, a registration or a segmentation")),
)

_HEAD_BYTES = 512


def classify(path: Path) -> Kind | Skip:
    """Tells the kind of a file in a folder, from its first bytes and the DICOM file meta.

    A name that claims an image counts where the content does not tell: such a file gets a row and
    is refused there by name. Never opens what is not a regular file, and never raises.
    """
    claimed = _EXTENSIONS.get(path.suffix.lower())
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return Skip("not-a-file", "a pipe, a device or the like")
        with open_source(path) as source:
            found = kind_of(source.file)
            if found is Kind.DICOM:
                return _dicom_kind(source)
    except FileEmpty:
        found = Skip("empty", "an empty file")
    except HcBatchError as error:
        found = Skip(error.code, "a file that cannot be opened")
    except OSError:
        return claimed or Skip("file-missing", "a file that is not there, or a broken link")
    return found if isinstance(found, Kind) else claimed or found


def kind_of(file: BinaryIO) -> Kind | Skip:
    """The format of an open file, whatever its name."""
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if head[128:132] == b"DICM":
        return Kind.DICOM
    for magic, kind in _IMAGE_MAGIC:
        if head.startswith(magic):
            return kind
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], _UNKNOWN)
    if head[4:8] == b"ftyp":
        return _VIDEO
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return _PICTURE
    for magic, skip in _OTHER_MAGIC:
        if head.startswith(magic):
            return skip
    return _TEXT if _is_text(head) else _UNKNOWN


def dicom_object(sop_class: str) -> Skip | None:
    """Why a DICOM object of this SOP class is no image, or ``None`` for what may be one."""
    for prefix, skip in _DICOM_OBJECTS:
        if sop_class.startswith(prefix):
            return skip
    return None


def _dicom_kind(source: Source) -> Kind | Skip:
    try:
        meta = read_meta(source.file, source.size_bytes)
    except ScanRejected:
        return Kind.DICOM  # damaged, which reading will say
    return dicom_object(meta.sop_class) or Kind.DICOM


def _is_text(head: bytes) -> bool:
    """Printable in UTF-8, or at least without control characters."""
    return not any(byte < 9 or 13 < byte < 32 for byte in head)
