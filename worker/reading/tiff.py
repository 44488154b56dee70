"""The pages of a TIFF file and their sizes, read before any decoder opens it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from worker.errors import FileDamaged, TooLarge
from worker.reading.limits import MAX_FRAMES

_COLUMNS, _ROWS, _BITS, _PHOTOMETRIC, _SAMPLES = 256, 257, 258, 262, 277
_WANTED = frozenset((_COLUMNS, _ROWS, _BITS, _PHOTOMETRIC, _SAMPLES))
_FORMS = {3: "H", 4: "L"}
_ENTRY_BYTES = 12
# Directories may overlap, so that a small file describes many; no honest one comes near.
_MAX_ENTRIES = 1_000_000
MIN_IS_WHITE = 0


@dataclass(frozen=True, slots=True)
class Page:
    """One image file directory, as far as it matters before decoding."""

    rows: int
    columns: int
    bits: int
    samples: int
    photometric: int | None


def pages(file: BinaryIO, size_bytes: int) -> list[Page]:
    """All pages, in their order.

    Raises ``FileDamaged`` where the chain of directories runs in a circle or out of the file, and
    ``TooLarge``.
    """
    file.seek(0)
    order = ">" if file.read(4)[:2] == b"MM" else "<"
    offset = _unpack(file, order + "L")
    read: list[Page] = []
    seen: set[int] = set()
    entries = 0
    while offset:
        if offset in seen or offset >= size_bytes:
            raise FileDamaged("its directories lead nowhere")
        seen.add(offset)
        file.seek(offset)
        count = _unpack(file, order + "H")
        entries += count
        if entries > _MAX_ENTRIES or len(read) >= MAX_FRAMES:
            raise TooLarge("too many directories")
        read.append(_page(file, order, count))
        offset = _unpack(file, order + "L")
    if not read:
        raise FileDamaged("it has no page")
    return read


def _page(file: BinaryIO, order: str, count: int) -> Page:
    directory = file.read(count * _ENTRY_BYTES)
    if len(directory) < count * _ENTRY_BYTES:
        raise FileDamaged("a directory is cut short")
    end = file.tell()
    values = {
        tag: _first_value(file, order + _FORMS[kind], order, length, raw)
        for tag, kind, length, raw in struct.iter_unpack(order + "HHL4s", directory)
        if tag in _WANTED and kind in _FORMS
    }
    file.seek(end)
    return Page(
        rows=values.get(_ROWS, 0),
        columns=values.get(_COLUMNS, 0),
        bits=values.get(_BITS, 1),
        samples=values.get(_SAMPLES, 1),
        photometric=values.get(_PHOTOMETRIC),
    )


def _first_value(file: BinaryIO, form: str, order: str, count: int, raw: bytes) -> int:
    """Values of more than four bytes stand elsewhere, and the entry holds their offset."""
    if count * struct.calcsize(form) > len(raw):
        file.seek(struct.unpack(order + "L", raw)[0])
        return _unpack(file, form)
    return int(struct.unpack_from(form, raw)[0])


def _unpack(file: BinaryIO, form: str) -> int:
    data = file.read(struct.calcsize(form))
    if len(data) < struct.calcsize(form):
        raise FileDamaged("a directory is cut short")
    return int(struct.unpack(form, data)[0])
