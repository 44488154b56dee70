"""Which object a DICOM file holds: its UIDs by a walk over its structure, with no library."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from worker.errors import FileDamaged
from worker.reading.dicom_structure import read_meta, value_text, walk
from worker.reading.source import open_source

_SOP_CLASS, _SOP_INSTANCE, _STUDY = 0x00080016, 0x00080018, 0x0020000D
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")


@dataclass(frozen=True, slots=True)
class UidsOfObject:
    """What the object says of itself."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str


def uids_of_object(path: Path) -> UidsOfObject:
    """Return the UIDs of a DICOM file; it is walked to its end, so that one cut short is told.

    Safe on hostile files, in this very process. Raises a ``ScanRejected``.
    """
    found: dict[int, str] = {}
    with open_source(path) as source:
        meta = read_meta(source.file, source.size_bytes)
        for element in walk(source.file, meta.end, source.size_bytes, meta.transfer_syntax):
            if element.tag in (_SOP_CLASS, _SOP_INSTANCE, _STUDY):
                found[element.tag] = value_text(source.file, element)
    uids = [found.get(tag, "") for tag in (_SOP_CLASS, _SOP_INSTANCE, _STUDY)]
    if not all(len(uid) <= 64 and _UID.fullmatch(uid) for uid in uids):
        raise FileDamaged("a UID is missing")
    return UidsOfObject(*uids)
