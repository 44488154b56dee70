"""What a file is, by its content: an image to measure, or something to skip with a reason."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from worker.errors import FileEmpty, HcBatchError, ScanRejected
from worker.reading.dicom_structure import HEAD_BYTES, begins_dicom, read_meta
from worker.reading.source import Source, open_source

if TYPE_CHECKING:
    from hcmodel.spacing import Spacing
    from worker.scan import Region, Scan


@dataclass(frozen=True, slots=True)
class Skip:
    """A file in a folder that is not there to be measured, and why."""

    code: str
    reason: str


def _signature(pattern: bytes) -> Callable[[bytes], bool]:
    compiled = re.compile(pattern, re.DOTALL)
    return lambda head: compiled.match(head) is not None


class FileFormat(Enum):
    """The formats that can be measured: this is the one list of them.

    Each has its name, the suffixes that claim it, what tells its files by their first bytes, and
    the module of this room that reads it.
    """

    DICOM = ("dicom", (".dcm", ".dicom", ".ima"), begins_dicom, "dicom")
    PNG = ("png", (".png",), _signature(rb"\x89PNG\r\n\x1a\n"), "raster")
    JPEG = ("jpeg", (".jpg", ".jpeg"), _signature(rb"\xff\xd8\xff"), "raster")
    TIFF = ("tiff", (".tif", ".tiff"), _signature(rb"II\*\0|MM\0\*"), "raster")

    suffixes: tuple[str, ...]
    _begins: Callable[[bytes], bool]
    _module: str

    def __new__(
        cls, name: str, suffixes: tuple[str, ...], begins: Callable[[bytes], bool], module: str
    ) -> FileFormat:
        """Return a member whose value is its name, so that ``FileFormat("png")`` finds it."""
        member = object.__new__(cls)
        member._value_ = name
        member.suffixes = suffixes
        member._begins = begins
        member._module = module
        return member

    def begins(self, head: bytes) -> bool:
        """Whether a file that begins with ``head`` is of this format."""
        return self._begins(head)

    def reader(self) -> Reader:
        """Return the module that reads files of this format.

        Imported when it is needed: pydicom takes longer to import than ``hc-batch submit`` may
        take to answer.
        """
        return cast(Reader, import_module(f"worker.reading.{self._module}"))


class Reader(Protocol):
    """What a module offers that reads one or more formats."""

    def read_scan(
        self, source: Source, file_format: FileFormat, frame: int, manual: Spacing | None
    ) -> Scan:
        """One frame, decoded; raises a ``ScanRejected`` by name."""

    def describe(
        self,
        source: Source,
        file_format: FileFormat,
        frame: int,
        manual: Spacing | None,
        read: dict[str, Any],
    ) -> tuple[Region, ...]:
        """Return the regions where a head may lie, by the header alone.

        What is known on the way goes into ``read``, also where a ``ScanRejected`` is raised.
        """


_VIDEO = Skip("video", "a video file; export single frames or a DICOM cine loop")
_PICTURE = Skip("image-format", "an image format that is not read; export PNG, TIFF or DICOM")
_BIG_TIFF = Skip("image-format", "a BigTIFF image, which is not read; export TIFF, PNG or DICOM")
_APPLE_DOUBLE = Skip("apple-double", "what macOS keeps beside a file; its image is the other file")
_ARCHIVE = Skip("archive", "an archive or office document; unpack it first")
_OTHER_MAGIC = (
    (b"%PDF", Skip("pdf", "a PDF document")),
    (b"\x00\x00\x01\xba", _VIDEO),
    (b"\x00\x00\x01\xb3", _VIDEO),
    (b"\x1a\x45\xdf\xa3", _VIDEO),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", _VIDEO),
    (b"GIF8", _PICTURE),
    (b"\x00\x00\x00\x0cjP  ", _PICTURE),
    (b"\xff\x4f\xff\x51", _PICTURE),
    (b"\x00\x00\x00\x0cJXL ", _PICTURE),
    (b"\xff\x0a", _PICTURE),
    (b"II+\0", _BIG_TIFF),
    (b"MM\0+", _BIG_TIFF),
    (b"\x00\x05\x16\x07", _APPLE_DOUBLE),
    (b"PK\x03\x04", _ARCHIVE),
    (b"\x1f\x8b", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
)
_RIFF = {b"AVI ": _VIDEO, b"WEBP": _PICTURE}
# Brands of ISO media files that hold pictures: HEIC, HEIF and AVIF.
_PICTURE_BRANDS = frozenset(
    b"heic heix heim heis hevc hevx hevm hevs mif1 mif2 msf1 avif avis avio".split()
)
_TEXT = Skip("text", "a text file")
_UNKNOWN = Skip("unknown", "neither DICOM nor PNG, JPEG or TIFF")

STRUCTURED_REPORT = Skip("structured-report", "a structured report or key object selection")
"""No image, but it may be the exam's own report: see ``worker.reading.read_report``."""

_CLASS = "1.2.840.10008.5.1.4.1.1."
_DICOM_OBJECTS = (
    ("1.2.840.10008.1.3.10", Skip("dicomdir", "a DICOMDIR, the table of contents of a medium")),
    (_CLASS + "88.", STRUCTURED_REPORT),
    (_CLASS + "11.", Skip("presentation-state", "a presentation state")),
    (_CLASS + "104.", Skip("encapsulated-document", "a document inside DICOM, such as a PDF")),
    (_CLASS + "9.", Skip("waveform", "a waveform, such as an ECG")),
    (_CLASS + "66", Skip("dicom-data", "raw data, a registration or a segmentation")),
)


def classify(path: Path) -> FileFormat | Skip:
    """Return the format of a file in a folder, or why it is skipped, by its first bytes.

    A name that claims an image counts where the content does not tell: such a file gets a row and
    is refused there by name. Not so what macOS keeps beside each file on foreign drives, under the
    image's own name with ``._`` before it. Never opens what is not a regular file, and never
    raises.
    """
    claimed = claimed_format(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return Skip("not-a-file", "a pipe, a device or the like")
        with open_source(path) as source:
            kind = format_of(source.file)
            if kind is FileFormat.DICOM:
                return _dicom_kind(source)
    except FileEmpty:
        kind = Skip("empty", "an empty file")
    except HcBatchError as error:
        kind = Skip(error.code, "a file that cannot be opened")
    except OSError:
        return claimed or Skip("file-missing", "a file that is not there, or a broken link")
    if isinstance(kind, FileFormat) or kind is _APPLE_DOUBLE:
        return kind
    return claimed or kind


def claimed_format(path: Path) -> FileFormat | None:
    """Return the format that the file's name claims; ``None`` where it claims none."""
    suffix = path.suffix.lower()
    return next((member for member in FileFormat if suffix in member.suffixes), None)


def format_of(file: BinaryIO) -> FileFormat | Skip:
    """Return the format of an open file by its content alone, or what else it looks like."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    for file_format in FileFormat:
        if file_format.begins(head):
            return file_format
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12], _UNKNOWN)
    if head[4:8] == b"ftyp":
        return _PICTURE if head[8:12] in _PICTURE_BRANDS else _VIDEO
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


def _dicom_kind(source: Source) -> FileFormat | Skip:
    try:
        meta = read_meta(source.file, source.size_bytes)
    except ScanRejected:
        return FileFormat.DICOM  # damaged, which reading will say
    return dicom_object(meta.sop_class) or FileFormat.DICOM


def _is_text(head: bytes) -> bool:
    """Printable in UTF-8, or at least without control characters."""
    return not any(byte < 9 or 13 < byte < 32 for byte in head)
