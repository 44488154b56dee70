"""Values of DICOM tags as plain Python, or nothing: real files hold every kind of rubbish.

No text of a tag leaves this module unless it is the number that it should be, or looks like what
its caller keeps: error texts are stored, and a mistyped tag may hold a name.
"""

from __future__ import annotations

import re
import struct
from datetime import date, datetime

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.tag import Tag

from worker.errors import FileDamaged

# What pydicom raises on values that do not fit their VR; RuntimeError where its stack ends.
_UNFIT = (
    AttributeError,
    BytesLengthException,
    EOFError,
    LookupError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_LABEL = re.compile(r"(?=.*[^\W_])[^\W_][\w .,:;/()+&#-]{0,63}")
_SHOWN = re.compile(r"[-+]?[0-9]{0,3}([.,][0-9]{0,12})?([eE][-+]?[0-9]{1,3})?|nan|[-+]?inf", re.I)


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """All values, or none of them where one is not a number; never raises."""
    try:
        value = dataset.get(keyword)
        if value is None or value == "":
            return ()
        values = value if isinstance(value, list | tuple) or hasattr(value, "__iter__") else [value]
        return tuple(float(v) for v in values)
    except _UNFIT:
        return ()


def number(dataset: Dataset, keyword: str) -> float | None:
    """Return the first value, if there is one."""
    return next(iter(numbers(dataset, keyword)), None)


def integer(dataset: Dataset, keyword: str) -> int | None:
    """Return the first value as an integer."""
    value = number(dataset, keyword)
    return int(value) if value is not None and value.is_integer() else None


def code(dataset: Dataset, keyword: str) -> str:
    """Return a coded string such as a photometric interpretation; empty if absent."""
    try:
        return str(dataset.get(keyword) or "").strip(" \0").upper()
    except _UNFIT:
        return ""


def uid(dataset: Dataset, keyword: str) -> str | None:
    """Return a UID of legal form: it is stored, so anything else that stands there is dropped."""
    text = code(dataset, keyword)
    return text if len(text) <= 64 and _UID.fullmatch(text) else None


def label(dataset: Dataset, keyword: str) -> str | None:
    """Return a short name of a thing, several apart by commas; what looks otherwise is dropped."""
    try:
        value = dataset.get(keyword)
        values = [value] if isinstance(value, str) else list(value or ())
        text = ", ".join(str(each).strip(" \0") for each in values if str(each).strip(" \0"))
    except _UNFIT:
        return None
    text = " ".join(text.split())
    return text if _LABEL.fullmatch(text) else None


def day(dataset: Dataset, keyword: str) -> date | None:
    """Return the day of a date, or of a date with a time; ``None`` where it is no date."""
    text = raw_text(dataset, keyword) or ""
    try:
        return datetime.strptime(text.strip()[:8], "%Y%m%d").date()
    except ValueError:
        return None


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Return a sequence's items, none if absent; raise ``FileDamaged`` if it does not parse."""
    try:
        members = list(dataset.get(keyword) or ())
    except _UNFIT:
        raise FileDamaged(f"{keyword} cannot be read") from None
    if not all(isinstance(item, Dataset) for item in members):
        raise FileDamaged(f"{keyword} cannot be read")
    return members


def raw_text(dataset: Dataset, keyword: str) -> str | None:
    """Return the text just as it stands in the file, ``None`` if the tag is absent.

    Empty where its value cannot be read at all.
    """
    if Tag(keyword) not in dataset:
        return None
    element = _element(dataset, keyword)
    value = None if element is None else element.value
    if isinstance(element, RawDataElement) and isinstance(value, bytes):
        return value.decode("latin-1").strip(" \0")
    return "" if value is None else str(value)


def quoted(text: str) -> str:
    """``text`` for an error message, each value only if it looks like a pixel's size."""
    values = (value.strip() for value in text.split("\\")[:4])
    return "\\".join(v if _SHOWN.fullmatch(v) else "(not a number)" for v in values) or "(empty)"


def raw_bytes(dataset: Dataset, keyword: str) -> bytes:
    """Return a binary value as it stands in the file, whatever its VR; empty if absent.

    Palettes, for one, are words of VR OW or numbers of VR US.
    """
    element = _element(dataset, keyword)
    value = None if element is None else element.value
    return value if isinstance(value, bytes) else b""


def _element(dataset: Dataset, keyword: str) -> DataElement | RawDataElement | None:
    """Return an element as it stands; ``None`` where it is absent or of no VR that there is."""
    try:
        return dataset.get_item(Tag(keyword)) if keyword in dataset else None
    except _UNFIT:
        return None
