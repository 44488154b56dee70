"""Damage to the bytes of a sound DICOM or image file, drawn at random."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable


def flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        data[rng.randrange(len(data))] = rng.randrange(256)


def truncate(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def cut(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    del data[start : start + rng.choice((1, 2, 4, 8, 100))]


def repeat(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    part = data[start : start + rng.choice((1, 2, 8, 60, 1000))]
    data[start:start] = part * rng.choice((1, 2, 50))


def oversize(data: bytearray, rng: random.Random) -> None:
    """A length, a count or a size that claims far more than there is."""
    form = rng.choice(("<H", ">H", "<L", ">L"))
    bits = 8 * struct.calcsize(form)
    value = rng.choice((0, 1, (1 << bits) - 1, (1 << bits) - 2, 1 << (bits - 1), 65535, 20000))
    start = rng.randrange(min(len(data), 2000))
    data[start : start + bits // 8] = struct.pack(form, value % (1 << bits))


def edit_tag(data: bytearray, rng: random.Random) -> None:
    """Another value in one of the tags that decide."""
    number = rng.choice((0x02, 0x04, 0x06, 0x08, 0x10, 0x11, 0x30, 0x100, 0x101, 0x102, 0x103))
    start = data.find(struct.pack("<HH", 0x28, number))
    if start >= 0:
        value = rng.choice(
            (0, 1, 2, 3, 7, 8, 9, 12, 16, 32, 255, 16384, 65535, rng.randrange(65536))
        )
        data[start + 8 : start + 10] = struct.pack("<H", value)


def nest(data: bytearray, rng: random.Random) -> None:
    """Sequences of open length, up to thousands deep, somewhere in the header."""
    opening = struct.pack(
        "<HH2sHLHHL", 0x18, 0x6011, b"SQ", 0, 2**32 - 1, 0xFFFE, 0xE000, 2**32 - 1
    )
    start = rng.randrange(min(len(data), 1500))
    data[start:start] = opening * rng.choice((1, 10, 1000, 5000))


MUTATIONS: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip, flip, flip, truncate, cut, repeat, oversize, oversize, edit_tag, nest,
)  # fmt: skip


def mutated(sound: list[bytes], rng: random.Random) -> bytes:
    """One of the sound files with some damage."""
    data = bytearray(rng.choice(sound))
    for _ in range(rng.choice((1, 1, 2, 3))):
        if data:
            rng.choice(MUTATIONS)(data, rng)
    return bytes(data)
