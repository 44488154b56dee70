"""How a DICOM image's pixels are laid out, by its tags."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from worker.errors import (
    FileDamaged,
    NoPixelData,
    SizeConflict,
    TooLarge,
    UnsupportedPixels,
    UnsupportedTransferSyntax,
)
from worker.reading import tags
from worker.reading.codestreams import Stream
from worker.reading.dicom_structure import Element
from worker.reading.limits import MAX_FRAMES, MAX_PIXELS, MAX_SIDE_PX

Words = NDArray[np.uint8 | np.uint16]

TAGS = (
    "Rows",
    "Columns",
    "NumberOfFrames",
    "SamplesPerPixel",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PlanarConfiguration",
    "PhotometricInterpretation",
)

_SMOOTHER = 0.7
"""Of a hundred real images with a wrong tag the right reading was at most 0.53 as rough as the
other; with a right tag the wrong one was at least 1.9 times as rough."""
_WRAPS = 0.25
"""Share of the range: in 120 real images wrapped values jump by at least 0.42 of it, those under
text, outlines and boxes by at most 0.05."""
_ENOUGH_PX = 32
"""A side from which on an image has structure to go by."""
_USUAL_BITS = (8, 10, 12)
"""Depths of scanners."""

_MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
_ONE_SAMPLE = (*_MONOCHROME, "PALETTE COLOR")
_YBR = ("YBR_FULL", "YBR_FULL_422")
_THREE_SAMPLES = ("RGB", *_YBR, "YBR_RCT", "YBR_ICT")


@dataclass(frozen=True, slots=True)
class Decoded:
    """One frame's words, ``(rows, columns)``, or ``(rows, columns, 3)`` in colour.

    ``bits`` are used of each word, the lowest. ``is_luma``: a colour image of which only the luma
    was decoded. ``is_rgb``: RGB, whatever the tags say.
    """

    words: Words
    bits: int
    is_luma: bool = False
    is_rgb: bool = False


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """The Image Pixel module's part that says how to read a frame, by the standard's names."""

    rows: int
    columns: int
    frames: int
    samples_per_pixel: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool
    planar_configuration: int
    photometric_interpretation: str
    is_subsampled: bool

    @property
    def is_ybr(self) -> bool:
        """Whether the first of three samples is the luma."""
        return self.photometric_interpretation in _YBR

    @property
    def frame_bytes(self) -> int:
        """Size of one uncompressed frame."""
        samples = 2 if self.is_subsampled else self.samples_per_pixel
        return self.rows * self.columns * samples * self.bits_allocated // 8

    @property
    def contradicts_tag(self) -> bool:
        """Whether three samples a pixel are stored where YBR_FULL_422 says two."""
        return self.photometric_interpretation == "YBR_FULL_422" and not self.is_subsampled

    def precision_of(self, stream_bits: int) -> int:
        """How many bits a compressed image's values have: its stream counts, not BitsStored.

        Of signed values fewer than the stream's may hold the sign, and the tag knows which.
        """
        return min(stream_bits, self.bits_stored) if self.is_signed else stream_bits

    def check_size(self, stream: Stream) -> None:
        """Compare a compressed image's own size with the tags: where they differ, so may the scale.

        Raises ``SizeConflict``.
        """
        if (stream.rows, stream.columns) != (self.rows, self.columns):
            raise SizeConflict(
                f"{stream.columns}x{stream.rows} against {self.columns}x{self.rows} pixels"
            )
        if stream.samples != self.samples_per_pixel:
            raise SizeConflict(
                f"{stream.samples} against {self.samples_per_pixel} samples per pixel"
            )

    def shaped(self, raw: bytes, bits_allocated: int, *, by_plane: bool) -> Words:
        """``raw`` little-endian words as ``(rows, columns)`` or ``(rows, columns, samples)``.

        ``by_plane``: all of one sample, then all of the next. Raises ``FileDamaged`` where there
        are too few words.
        """
        words = np.frombuffer(raw, np.uint8 if bits_allocated == 8 else "<u2")
        count = self.rows * self.columns * self.samples_per_pixel
        if len(words) < count:
            raise FileDamaged("its pixel data is cut short")
        words = words[:count]
        if self.samples_per_pixel == 1:
            return words.reshape(self.rows, self.columns)
        if by_plane:
            planes = words.reshape(self.samples_per_pixel, self.rows, self.columns)
            return np.moveaxis(planes, 0, -1)
        return words.reshape(self.rows, self.columns, self.samples_per_pixel)

    def aligned(self, words: Words) -> tuple[Words, int]:
        """Return only the stored bits, at the bottom, and their number, in the shape of ``words``.

        The others may hold an overlay or rubbish. Where the image goes on in those above, or is
        nothing but they, BitsStored or HighBit is wrong, and all count.
        """
        if self.bits_stored == self.bits_allocated:
            return words, self.bits_stored
        mask = words.dtype.type((1 << self.bits_stored) - 1)
        stored = (words >> words.dtype.type(self.high_bit + 1 - self.bits_stored)) & mask
        is_blank = stored.min() == stored.max() and words.min() != words.max()
        if is_blank or _jump_above(words, self.high_bit + 1) > _WRAPS * (1 << self.high_bit + 1):
            return words, self.bits_allocated
        return stored, self.bits_stored


def read_layout(header: Dataset) -> PixelLayout:
    """Read and check the Image Pixel module.

    Raises ``FileDamaged`` where a tag is missing, ``UnsupportedPixels`` for a layout that is not
    read here, and ``TooLarge``.
    """
    rows, columns = _required(header, "Rows"), _required(header, "Columns")
    if max(rows, columns) > MAX_SIDE_PX or rows * columns > MAX_PIXELS:
        raise TooLarge(f"{columns}x{rows} pixels")
    frames = tags.integer(header, "NumberOfFrames") or 1
    if frames > MAX_FRAMES:
        raise TooLarge(f"more than {MAX_FRAMES} frames")
    if min(rows, columns, frames) < 1:
        raise FileDamaged("it has no rows, columns or frames")
    colours = tags.code(header, "PhotometricInterpretation")
    samples = tags.integer(header, "SamplesPerPixel") or (3 if colours in _THREE_SAMPLES else 1)
    if colours not in (_ONE_SAMPLE if samples == 1 else _THREE_SAMPLES if samples == 3 else ()):
        raise UnsupportedPixels(f"{samples} samples per pixel, or their colours")
    bits_allocated = _required(header, "BitsAllocated")
    bits_stored = tags.integer(header, "BitsStored") or bits_allocated
    high_bit = tags.integer(header, "HighBit")
    high_bit = bits_stored - 1 if high_bit is None else high_bit
    if bits_allocated not in (8, 16) or not 1 <= bits_stored <= high_bit + 1 <= bits_allocated:
        raise UnsupportedPixels(f"{bits_stored} of {bits_allocated} bits, highest {high_bit}")
    return PixelLayout(
        rows,
        columns,
        frames,
        samples,
        bits_allocated,
        bits_stored,
        high_bit,
        is_signed=tags.integer(header, "PixelRepresentation") == 1,
        planar_configuration=tags.integer(header, "PlanarConfiguration") or 0,
        photometric_interpretation=colours,
        is_subsampled=colours == "YBR_FULL_422",
    )


def stored_layout(layout: PixelLayout, file: BinaryIO, pixels: Element) -> PixelLayout:
    """Return the layout of uncompressed pixel data, whose length must be what the tags explain.

    YBR_FULL_422 with three bytes a pixel is known from the field and read as such. Allowed are the
    byte that makes the length even, and up to a row of zeros, which some writers add. Raises
    ``NoPixelData``, ``FileDamaged`` for too few bytes, and ``SizeConflict`` for too many.
    """
    if pixels.length is None:
        raise UnsupportedTransferSyntax("its pixels are, but the file does not tell how")
    if pixels.length == 0:
        raise NoPixelData("its pixel data is empty")
    whole = replace(layout, is_subsampled=False)
    three_bytes = whole.frame_bytes * layout.frames
    if pixels.length in (three_bytes, three_bytes + three_bytes % 2):
        return whole
    explained = layout.frame_bytes * layout.frames
    rest = pixels.length - explained
    if rest < 0 and pixels.length % layout.frame_bytes > 1:
        raise FileDamaged(f"{pixels.length} bytes of pixel data where its tags tell of {explained}")
    if rest > explained % 2:
        file.seek(pixels.offset + explained)
        if rest > layout.frame_bytes // layout.rows or any(file.read(rest)):
            raise SizeConflict(
                f"{pixels.length} bytes of pixel data, of which the tags explain {explained}"
            )
    return layout


def read_by_evidence(layout: PixelLayout, raw: bytes) -> Words:
    """Return a frame in colour ``(rows, columns, 3)``, by pixel or by plane as the pixels show.

    Some writers put the wrong PlanarConfiguration. Read the wrong way, the frame falls into tiles,
    and rows that are neighbours there are none in the image.
    """
    says_planes = layout.planar_configuration == 1
    told = layout.shaped(raw, layout.bits_allocated, by_plane=says_planes)
    if min(layout.rows, layout.columns) < _ENOUGH_PX:
        return told
    other = layout.shaped(raw, layout.bits_allocated, by_plane=not says_planes)
    return other if _roughness(other) < _SMOOTHER * _roughness(told) else told


def shows_rgb(words: Words) -> bool:
    """Whether colours ``(rows, columns, 3)`` of an 8-bit image are RGB rather than YBR.

    Most of an ultrasound image is grey: there RGB has three equal samples, and YBR has 128 in its
    last two. Raises ``SizeConflict`` where neither holds: asked is of images only whose length
    contradicts their colours.
    """
    samples = words.astype(np.int32)
    off_rgb = float(np.abs(samples[..., 1:] - samples[..., :1]).mean())
    off_ybr = float(np.abs(samples[..., 1:] - 128).mean())
    if max(off_rgb, off_ybr) < 2 * min(off_rgb, off_ybr):
        raise SizeConflict("three bytes a pixel, where YBR_FULL_422 has two")
    return off_rgb < off_ybr


def _jump_above(words: Words, bits: int) -> float:
    """Return the mean jump of the lowest ``bits`` where those above change down a column.

    A value that goes on above wraps round there; under an overlay's edge it stays as it was.
    """
    values = words.astype(np.int32)
    is_changed = np.diff(values >> bits, axis=0) != 0
    if not is_changed.any():
        return 0.0
    return float(np.abs(np.diff(values & ((1 << bits) - 1), axis=0))[is_changed].mean())


def _roughness(words: Words) -> float:
    """Mean difference of neighbours down the columns, of every fourth column."""
    return float(np.abs(np.diff(words[:, ::4].astype(np.int32), axis=0)).mean())


def held_bits(words: Words, bits: int, *, is_signed: bool) -> tuple[int, bool]:
    """How many of ``bits`` the values need, and whether any of them is negative.

    Many writers keep 8 or 12 bits in words of 16 and say so nowhere: taken at their word, such an
    image is black. Values that need more than 12 bits keep their depth.
    """
    if bits <= min(_USUAL_BITS):
        return bits, is_signed
    values = words.astype(np.int32) & ((1 << bits) - 1)
    if is_signed:
        sign = 1 << (bits - 1)
        values = (values ^ sign) - sign
    lowest, highest = int(values.min()), int(values.max())
    is_negative = lowest < 0
    for held in _USUAL_BITS:
        top = 1 << (held - is_negative)
        if held < bits and highest < top and lowest >= -top:
            return held, is_negative
    return bits, is_signed


def _required(header: Dataset, keyword: str) -> int:
    value = tags.integer(header, keyword)
    if value is None:
        raise FileDamaged(f"{keyword} is missing")
    return value
