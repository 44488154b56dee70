"""What an object that refers to a DICOM image must say of it: its UIDs, and its patient on demand.

This is the one place where tags about a patient are read. What comes of it is for an object that
goes back to the image's own archive; it is neither stored nor logged, nor part of any error.
"""

from __future__ import annotations

import re

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag

from worker.errors import FileDamaged, NotDicom
from worker.reading import dicom_structure, tags
from worker.reading.dicom import open_dataset
from worker.reading.formats import FileFormat, dicom_object, format_of
from worker.reading.frames import frame_count
from worker.reading.library_errors import refusing_damage
from worker.reading.source import Source
from worker.scan import ImageReference

_UIDS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_DATE, _TIME = r"[0-9]{8}", r"[0-9]{2}([0-9]{2}([0-9]{2}(\.[0-9]{1,6})?)?)?"
_LINE = r"[^\\\x00-\x1f\x7f]{1,64}"
_NAME = r"[^\\\x00-\x1f\x7f]{1,192}"
_PATIENT = {
    "PatientName": _NAME,
    "PatientID": _LINE,
    "IssuerOfPatientID": _LINE,
    "PatientBirthDate": _DATE,
    "PatientSex": "[MFO]",
    "StudyDate": _DATE,
    "StudyTime": _TIME,
    "AccessionNumber": _LINE,
    "ReferringPhysicianName": _NAME,
    "StudyID": _LINE,
    "StudyDescription": _LINE,
}
"""Keywords, and what a legal value of each looks like: what does not is left out."""
_TAGS: list[BaseTag | int] = [
    Tag(keyword) for keyword in (*_UIDS, *_PATIENT, "SpecificCharacterSet", "NumberOfFrames")
]


def read_image_reference(source: Source, *, with_patient: bool) -> ImageReference:
    """Return the image's UIDs, with its patient's and study's data only where asked for.

    Raises ``NotDicom`` for an image of another format or an object that is no image, and
    ``FileDamaged`` where a UID is missing.
    """
    if format_of(source.file) is not FileFormat.DICOM:
        raise NotDicom
    meta = dicom_structure.read_meta(source.file, source.size_bytes)
    if dicom_object(meta.sop_class) is not None:
        raise NotDicom
    header = _header(source, meta)
    uids = [tags.uid(header, keyword) for keyword in _UIDS]
    known = [uid for uid in uids if uid is not None]
    if len(known) < len(_UIDS):
        raise FileDamaged(f"it has no {_UIDS[uids.index(None)]}")
    sop_class, instance, series, study = known
    return ImageReference(
        sop_class_uid=sop_class,
        sop_instance_uid=instance,
        series_instance_uid=series,
        study_instance_uid=study,
        frames=frame_count(tags.raw_text(header, "NumberOfFrames") or "1"),
        sha256=source.sha256(),
        patient=_patient(header) if with_patient else {},
    )


def _header(source: Source, meta: dicom_structure.Meta) -> Dataset:
    file, start, size_bytes = open_dataset(source, meta)
    for _ in dicom_structure.walk(file, start, size_bytes, meta.transfer_syntax):
        pass  # it refuses what nests too deep, before a parser recurses into it
    file.seek(start)
    with refusing_damage("its header"):
        return read_dataset(
            file,
            is_implicit_VR=dicom_structure.is_implicit(file, start, meta.transfer_syntax),
            is_little_endian=meta.transfer_syntax != dicom_structure.EXPLICIT_BIG,
            stop_when=lambda tag, *_: tag >= 0x00300000,
            specific_tags=_TAGS,
        )


def _patient(header: Dataset) -> dict[str, str]:
    found = {}
    for keyword, form in _PATIENT.items():
        with refusing_damage("its patient's data"):
            text = str(header.get(keyword) or "").strip()
        if re.fullmatch(form, text):
            found[keyword] = text
    return found
