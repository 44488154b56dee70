"""What a compressed image says of itself, read from its first bytes before a codec runs."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from worker.errors import FileDamaged

_SOF = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)))
_SOF_LOSSY = frozenset((0xC0, 0xC1, 0xC2, 0xC9, 0xCA))
_SOF_JPEG_LS = 0xF7
_STANDALONE = frozenset((0x01, *range(0xD0, 0xD8)))
_APP0, _APP14, _START_OF_SCAN, _END = 0xE0, 0xEE, 0xDA, 0xD9
_CODESTREAM = b"\xff\x4f\xff\x51"
_JP2_HEADER_BYTES = 4096
"""How far a codestream is looked for: the boxes before it take some hundred bytes."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What a JPEG, JPEG-LS or JPEG 2000 image says of its size and its values.

    ``is_ybr``: what the stream itself tells of its colours, ``None`` if nothing. ``is_lossy``: of a
    JPEG image, whether it is one of the usual kinds, which every viewer opens.
    """

    rows: int
    columns: int
    samples: int
    precision: int
    is_ybr: bool | None = None
    is_signed: bool = False
    is_lossy: bool = True


def jpeg(data: bytes) -> Stream:
    """Read the frame header of a JPEG or JPEG-LS image, and the markers that tell its colours.

    Raises ``FileDamaged``.
    """
    frame: tuple[int, int, int, bytes] | None = None
    is_ybr: bool | None = None
    is_lossy = True
    for marker, body in _segments(data):
        if marker in _SOF or marker == _SOF_JPEG_LS:
            frame = _frame_header(body)
            is_lossy = marker in _SOF_LOSSY
        elif marker == _APP0 and body.startswith(b"JFIF"):
            is_ybr = True
        elif marker == _APP14 and body.startswith(b"Adobe") and len(body) >= 12:
            is_ybr = body[11] != 0
    if frame is None:
        raise FileDamaged("a JPEG image without a size")
    precision, rows, columns, component_ids = frame
    if is_ybr is None and component_ids in (b"RGB", b"rgb"):
        is_ybr = False
    return Stream(rows, columns, len(component_ids), precision, is_ybr, is_lossy=is_lossy)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield markers and their contents, up to the first scan."""
    if data[:2] != b"\xff\xd8":
        raise FileDamaged("no JPEG image")
    position = 2
    while position + 4 <= len(data):
        fill, marker = data[position], data[position + 1]
        if fill != 0xFF:
            raise FileDamaged("a JPEG marker is missing")
        if marker in (_START_OF_SCAN, _END):
            return
        if marker == 0xFF:
            position += 1
        elif marker in _STANDALONE:
            position += 2
        else:
            (length,) = struct.unpack_from(">H", data, position + 2)
            yield marker, data[position + 4 : position + 2 + length]
            position += 2 + length


def _frame_header(body: bytes) -> tuple[int, int, int, bytes]:
    if len(body) < 6 or len(body) < 6 + 3 * body[5]:
        raise FileDamaged("a JPEG frame header is cut short")
    precision, rows, columns, samples = struct.unpack_from(">BHHB", body)
    return precision, rows, columns, bytes(body[6 : 6 + 3 * samples : 3])


def jpeg2000(data: bytes) -> Stream:
    """Read the SIZ segment of a JPEG 2000 codestream, bare or in a JP2 file.

    Raises ``FileDamaged``.
    """
    start = data.find(_CODESTREAM, 0, _JP2_HEADER_BYTES)
    if start < 0 or len(data) < start + 43:
        raise FileDamaged("no JPEG 2000 image")
    right, bottom, left, top = struct.unpack_from(">4L", data, start + 8)
    samples, depth = struct.unpack_from(">HB", data, start + 40)
    return Stream(
        rows=bottom - top,
        columns=right - left,
        samples=samples,
        precision=(depth & 0x7F) + 1,
        is_signed=bool(depth & 0x80),
    )


def rle_segments(data: bytes) -> int:
    """Return how many segments an RLE frame's header announces; raise ``FileDamaged``."""
    if len(data) < 64:
        raise FileDamaged("an RLE header is cut short")
    return int(struct.unpack_from("<L", data)[0])
