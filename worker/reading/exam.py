"""What a DICOM file's tags tell of the exam and of the scanner.

Names of machines are free text, in which a name may stand by mistake: what shares a word with the
tags that say who was scanned, or by whom, is dropped, and so is what does not look like a name of a
machine. A day that is the patient's birth date is no study date.
"""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

from worker.exam import Exam
from worker.reading import tags

_OF_EXAM = (
    *("StudyDate", "AccessionNumber", "SeriesInstanceUID"),
    *("Manufacturer", "ManufacturerModelName", "SoftwareVersions"),
)
_PERSONAL = (
    *("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber"),
    *("ReferringPhysicianName", "OperatorsName"),
)
TAGS = tuple(dict.fromkeys((*_OF_EXAM, *_PERSONAL)))

_WORD = re.compile(r"[^\W_]{3,}")


def read_exam(header: Dataset) -> Exam:
    """Return exam and scanner, with the accession number as it stands; unfit values are dropped."""
    who = {word for keyword in _PERSONAL for word in _words(tags.code(header, keyword))}
    maker = tags.label(header, "Manufacturer")
    model = tags.label(header, "ManufacturerModelName")
    day = tags.day(header, "StudyDate")
    return Exam(
        study_date=None if day == tags.day(header, "PatientBirthDate") else day,
        accession_number=tags.raw_text(header, "AccessionNumber") or None,
        series_instance_uid=tags.uid(header, "SeriesInstanceUID"),
        machine=_unless_of(who, _machine(maker, model)),
        software_version=_unless_of(who, tags.label(header, "SoftwareVersions")),
    )


def _machine(maker: str | None, model: str | None) -> str | None:
    if maker and model and not model.lower().startswith(maker.lower()):
        return f"{maker} {model}"
    return model or maker


def _unless_of(who: set[str], text: str | None) -> str | None:
    return None if text is None or who & _words(text) else text


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
