"""PALETTE COLOR: tables from a pixel's index to its colour, made grey.

PS3.3 C.7.6.3.1.5 describes the plain tables, C.7.9 the segmented ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from worker.errors import FileDamaged
from worker.reading import tags
from worker.reading.grey import luma

_COLOURS = ("Red", "Green", "Blue")
TAGS = tuple(
    f"{prefix}{colour}PaletteColorLookupTable{part}"
    for colour in _COLOURS
    for prefix, part in (("", "Descriptor"), ("", "Data"), ("Segmented", "Data"))
)
_DISCRETE, _LINEAR, _INDIRECT = 0, 1, 2
_MAX_ENTRIES = 65536


@dataclass(frozen=True, slots=True)
class Palette:
    """Grey levels ``(entries,)`` from index ``first`` on; those outside take the nearest end's."""

    levels: NDArray[np.uint8]
    first: int

    def apply(self, indices: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Look up indices of any shape; grey levels in that shape."""
        entries = np.clip(indices.astype(np.int32) - self.first, 0, len(self.levels) - 1)
        return self.levels[entries]


def read_palette(header: Dataset, *, big_endian: bool, signed: bool) -> Palette:
    """Read the three tables, plain or segmented, of 8 or 16 bits; raises ``FileDamaged``."""
    descriptor = tags.numbers(header, "RedPaletteColorLookupTableDescriptor")
    if len(descriptor) != 3 or descriptor[2] not in (8, 16):
        raise FileDamaged("its palette has no proper description")
    # US counts 0 for 65536; first may be meant signed where the pixels are.
    count, first, bits = int(descriptor[0]) & 0xFFFF or _MAX_ENTRIES, *map(int, descriptor[1:])
    if signed and first > 0x7FFF:
        first -= 0x10000
    tables = [_table(header, colour, count, bits, big_endian) for colour in _COLOURS]
    length = min(len(table) for table in tables)
    if length == 0:
        raise FileDamaged("its palette is empty")
    rgb = np.stack([table[:length] for table in tables], axis=-1)
    # Some writers put 8-bit levels into 16-bit entries.
    depth = 16 if rgb.max() > 0xFF else 8
    return Palette(luma((rgb >> (depth - 8)).astype(np.uint8)), first)


def _table(
    header: Dataset, colour: str, count: int, bits: int, big_endian: bool
) -> NDArray[np.uint16]:
    plain = tags.raw_bytes(header, f"{colour}PaletteColorLookupTableData")
    if plain:
        width = 8 if len(plain) < 2 * count else 16
        return _words(plain, width, big_endian)[:count]
    segmented = tags.raw_bytes(header, f"Segmented{colour}PaletteColorLookupTableData")
    if segmented:
        units = _words(segmented, bits, big_endian)
        return np.array(_expanded(units.tolist(), bits)[:count], dtype=np.uint16)
    raise FileDamaged("its palette is missing")


def _words(data: bytes, bits: int, big_endian: bool) -> NDArray[np.uint16]:
    """Entries come in 16-bit words of the file's byte order, 8-bit ones two to a word."""
    even = data[: len(data) // 2 * 2]
    words = np.frombuffer(even, ">u2" if big_endian else "<u2").astype("<u2")
    return words.view(np.uint8).astype(np.uint16) if bits == 8 else words.astype(np.uint16)


def _expanded(units: list[int], bits: int) -> list[int]:
    """Segments one after another; an indirect one repeats segments from the given byte on."""
    table: list[int] = []
    position = 0
    while position + 1 < len(units) and len(table) < _MAX_ENTRIES:
        if units[position] != _INDIRECT:
            position = _append_segment(units, position, table)
            continue
        repeats = units[position + 1]
        parts = units[position + 2 : position + 2 + 32 // bits]
        source = sum(part << (bits * n) for n, part in enumerate(parts)) * 8 // bits
        for _ in range(repeats):
            source = _append_segment(units, source, table)
        position += 2 + 32 // bits
    return table


def _append_segment(units: list[int], position: int, table: list[int]) -> int:
    """Add a discrete or linear segment's entries and return where the next one begins."""
    if position + 2 >= len(units) or len(table) >= _MAX_ENTRIES:
        raise FileDamaged("its palette is cut short")
    kind, length = units[position], units[position + 1]
    if kind == _DISCRETE:
        table.extend(units[position + 2 : position + 2 + length])
        return position + 2 + length
    if kind == _LINEAR and table:
        ramp = np.linspace(table[-1], units[position + 2], length + 1)[1:]
        table.extend(np.rint(ramp).astype(int).tolist())
        return position + 3
    raise FileDamaged("its palette has an unknown segment")
