"""Files in, ``Scan`` out: the only room that knows DICOM and image formats.

``classify`` and ``frame_indices`` are for whoever walks a folder: they look at headers only, with
no library. ``read`` decodes; give it hostile files only inside ``worker.reading.sandbox.pool``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hcmodel.spacing import Spacing
from worker.errors import NotAnImage
from worker.exam import Pseudonyms
from worker.reading.formats import FileFormat, Skip, classify, format_of
from worker.reading.frames import FramePolicy, frame_indices
from worker.reading.sidecar import read_sidecar
from worker.reading.source import open_source, resolve_inside

if TYPE_CHECKING:
    from worker.reference import ExamReport
    from worker.scan import ImageReference, Scan

__all__ = [
    "FileFormat",
    "FramePolicy",
    "Skip",
    "classify",
    "frame_indices",
    "read",
    "read_image_reference",
    "read_report",
    "resolve_inside",
]


_NO_KEY = Pseudonyms()


def read(
    path: Path,
    frame: int = 0,
    manual: Spacing | None = None,
    *,
    roots: Sequence[Path] = (),
    pseudonyms: Pseudonyms = _NO_KEY,
) -> Scan:
    """Read one frame of one file: grey pixels, and the regions where a head may lie.

    ``manual`` is a person's pixel size and overrides the file's; one in a sidecar overrides both.
    ``pseudonyms`` say what stands for the accession number. Raises a ``ScanRejected`` by name, and
    before it decodes pixels wherever the header already tells.
    """
    # It imports pydicom, which takes longer than `hc-batch submit` may take to answer.
    from worker.reading.library_errors import silence

    with silence(), open_source(path, roots) as source:
        file_format = format_of(source.file)
        if isinstance(file_format, FileFormat):
            manual = read_sidecar(path, roots) or manual
            scan = file_format.reader().read_scan(source, file_format, frame, manual)
            kept = pseudonyms.of(scan.exam.accession_number)
            return replace(scan, exam=replace(scan.exam, accession_number=kept))
        raise NotAnImage(f"it looks like {file_format.reason}")


def read_report(path: Path, *, roots: Sequence[Path] = ()) -> ExamReport:
    """Read what a structured report says of heads: HC, BPD, OFD and age, per fetus.

    Raises a ``ScanRejected`` by name where the file cannot be read.
    """
    from worker.reading.exam_report import read_exam_report
    from worker.reading.library_errors import silence

    with silence(), open_source(path, roots) as source:
        return read_exam_report(source)


def read_image_reference(
    path: Path, *, with_patient: bool = False, roots: Sequence[Path] = ()
) -> ImageReference:
    """Read what an object that refers to this DICOM image must say of it.

    Raises a ``ScanRejected`` by name where the file cannot be read, or is no DICOM image.
    """
    from worker.reading.image_reference import read_image_reference
    from worker.reading.library_errors import silence

    with silence(), open_source(path, roots) as source:
        return read_image_reference(source, with_patient=with_patient)
