"""The structure of a DICOM file, walked before any library builds objects of it.

A header of a few kilobytes can nest sequences until a parser's stack ends, or claim lengths that
nobody has. The walk is a loop with a budget: it never recurses, never reads a value that was not
asked for, and takes milliseconds. Whatever it lets through, pydicom may read.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from worker.errors import FileDamaged, NotAnImage, TooLarge
from worker.reading.limits import MAX_DEPTH, MAX_ELEMENTS

MEDIA_SOP_CLASS = 0x00020002
TRANSFER_SYNTAX = 0x00020010
SOP_CLASS = 0x00080016
NUMBER_OF_FRAMES = 0x00280008
PIXEL_DATA = 0x7FE00010
FLOAT_PIXEL_DATA = (0x7FE00008, 0x7FE00009)

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"

HEAD_BYTES = 512
"""What is read to tell what a file is: the prefix and the first elements."""
_PREAMBLE_BYTES = 128
_PREFIX = b"DICM"
_META_GROUP = b"\x02\x00"
_FIRST_GROUPS = (0x0002, 0x0008)
_MAX_META_ELEMENTS = 100
"""Several times as many as the standard knows."""
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_SHORT = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_MAX_VALUE_BYTES = 256
"""A UID takes 64 bytes and a number 12: what is longer is none."""


@dataclass(frozen=True, slots=True)
class Element:
    """Where a data element's value lies; ``length`` is ``None`` where the file leaves it open."""

    tag: int
    vr: str
    offset: int
    length: int | None


@dataclass(frozen=True, slots=True)
class Meta:
    """The file meta information, as far as it matters here; ``end`` is where the dataset starts."""

    sop_class: str
    transfer_syntax: str
    end: int


def begins_dicom(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is DICOM: by its prefix, or by its elements alone.

    Files taken from a network association, and old ones, have neither preamble nor prefix.
    """
    return _prefix_end(head) > 0 or any(
        _begins_with_elements(head, implicit=implicit, order=order)
        for implicit, order in ((False, "<"), (True, "<"), (False, ">"))
    )


def read_meta(file: BinaryIO, size_bytes: int) -> Meta:
    """Read the file meta information; what it leaves open, the dataset's first elements tell.

    Raises ``NotAnImage`` for a file that is not DICOM, and ``FileDamaged`` where it does not end.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if not begins_dicom(head):
        raise NotAnImage
    end = _prefix_end(head)
    texts = {MEDIA_SOP_CLASS: "", TRANSFER_SYNTAX: ""}
    file.seek(end)
    is_implicit = _looks_implicit(file, expected=False)
    for _ in range(_MAX_META_ELEMENTS):
        is_meta = file.read(2) == _META_GROUP
        file.seek(end)
        element = _next_element(file, implicit=is_implicit, order="<") if is_meta else None
        if element is None:
            break
        if element.length is None or element.offset + element.length > size_bytes:
            raise FileDamaged("its file meta information does not end")
        if element.tag in texts:
            texts[element.tag] = value_text(file, element)
        end = element.offset + element.length
        file.seek(end)
    transfer_syntax = texts[TRANSFER_SYNTAX] or _shown_syntax(file, end)
    sop_class = texts[MEDIA_SOP_CLASS]
    if not sop_class and transfer_syntax != DEFLATED:
        sop_class = _sop_class(file, end, size_bytes, transfer_syntax)
    return Meta(sop_class, transfer_syntax, end)


def walk(file: BinaryIO, start: int, size_bytes: int, transfer_syntax: str) -> Iterator[Element]:
    """Yield the top-level elements of the dataset at ``start``, up to and with the pixel data.

    Raises ``FileDamaged`` or ``TooLarge``; none of the elements is read before it is asked for.
    """
    order = ">" if transfer_syntax == EXPLICIT_BIG else "<"
    implicit = is_implicit(file, start, transfer_syntax)
    for element in _top_level(file, start, size_bytes, implicit=implicit, order=order):
        yield element
        if element.tag == PIXEL_DATA or element.tag in FLOAT_PIXEL_DATA:
            return


def is_implicit(file: BinaryIO, start: int, transfer_syntax: str) -> bool:
    """Whether elements come without a VR: some writers do other than the transfer syntax says."""
    file.seek(start)
    return _looks_implicit(file, expected=transfer_syntax == IMPLICIT_LITTLE)


def value_text(file: BinaryIO, element: Element) -> str:
    """Return a short value as text; raises ``FileDamaged`` for a long one."""
    if element.length is None or element.length > _MAX_VALUE_BYTES:
        raise FileDamaged(f"the value of {_name(element.tag)} is too long")
    position = file.tell()
    file.seek(element.offset)
    text = file.read(element.length).decode("latin-1").strip(" \0")
    file.seek(position)
    return text


def _top_level(
    file: BinaryIO, start: int, size_bytes: int, *, implicit: bool, order: str
) -> Iterator[Element]:
    """Yield what stands outside all sequences; step through the inside of open-ended ones."""
    open_items: list[bool] = []  # is what surrounds each of them implicit?
    file.seek(start)
    for _ in range(MAX_ELEMENTS):
        element = _next_element(file, implicit=implicit, order=order)
        if element is None:
            if open_items:
                raise FileDamaged("a sequence does not end")
            return
        if element.tag in (_ITEM_END, _SEQUENCE_END):
            if not open_items:
                raise FileDamaged("a sequence ends that did not begin")
            implicit = open_items.pop()
            continue
        if element.length is not None and element.offset + element.length > size_bytes:
            raise FileDamaged(f"{_name(element.tag)} reaches past the end of the file")
        if not open_items:
            yield element
            file.seek(element.offset)  # the caller may have read elsewhere
        if element.length is None:
            open_items.append(implicit)
            if len(open_items) > MAX_DEPTH:
                raise FileDamaged("sequences are nested too deep")
            implicit = _implicit_inside(file, element, implicit)
        else:
            file.seek(element.offset + element.length)
    raise TooLarge(f"a header of more than {MAX_ELEMENTS} elements")


def _next_element(file: BinaryIO, *, implicit: bool, order: str) -> Element | None:
    head = file.read(8)
    if len(head) < 8:
        return None
    group, number, length = struct.unpack(order + "HHL", head)
    tag, vr = group << 16 | number, "UN"
    if not implicit and group != 0xFFFE:
        code = head[4:6]
        vr = code.decode("latin-1")
        if code in _LONG:
            (length,) = struct.unpack(order + "L", file.read(4).ljust(4, b"\xff"))
        elif code in _SHORT:
            (length,) = struct.unpack(order + "H", head[6:])
        else:
            raise FileDamaged(f"{_name(tag)} is of an unknown type")
    return Element(tag, vr, file.tell(), None if length == _UNDEFINED else length)


def _implicit_inside(file: BinaryIO, element: Element, implicit: bool) -> bool:
    """Unknown values of open length are always implicit; explicit sequences may hold such items."""
    if element.tag == _ITEM:
        return implicit or _looks_implicit(file, expected=False)
    return implicit or element.vr == "UN"


def _looks_implicit(file: BinaryIO, *, expected: bool) -> bool:
    position = file.tell()
    head = file.read(6)
    file.seek(position)
    if len(head) < 6 or head[:2] in (b"\xfe\xff", b"\xff\xfe"):
        return expected
    return not (head[4:6].isalpha() and head[4:6].isupper())


def _prefix_end(head: bytes) -> int:
    """Where elements begin behind ``DICM``; some writers leave the preamble out. 0 without it."""
    for start in (_PREAMBLE_BYTES, 0):
        if head.startswith(_PREFIX, start):
            return start + len(_PREFIX)
    return 0


def _begins_with_elements(head: bytes, *, implicit: bool, order: str) -> bool:
    """Whether ``head`` holds two elements in order, the first of the groups that come first."""
    file = io.BytesIO(head)
    try:
        first = _next_element(file, implicit=implicit, order=order)
        if first is None or first.length is None or first.tag >> 16 not in _FIRST_GROUPS:
            return False
        file.seek(first.offset + first.length)
        second = _next_element(file, implicit=implicit, order=order)
    except FileDamaged:
        return False
    return second is not None and second.tag >> 16 in _FIRST_GROUPS and second.tag > first.tag


def _shown_syntax(file: BinaryIO, start: int) -> str:
    """Return the uncompressed transfer syntax in which the dataset's first element is written."""
    file.seek(start)
    first_byte = file.read(1)
    if first_byte == b"\0":  # of group 8, the high one
        return EXPLICIT_BIG
    return IMPLICIT_LITTLE if is_implicit(file, start, EXPLICIT_LITTLE) else EXPLICIT_LITTLE


def _sop_class(file: BinaryIO, start: int, size_bytes: int, transfer_syntax: str) -> str:
    for element in walk(file, start, size_bytes, transfer_syntax):
        if element.tag == SOP_CLASS:
            return value_text(file, element)
        if element.tag > SOP_CLASS:
            break
    return ""


def _name(tag: int) -> str:
    return f"element ({tag >> 16:04x},{tag & 0xFFFF:04x})"
