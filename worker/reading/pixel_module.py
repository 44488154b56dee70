"""How a DICOM image's pixels are laid out, by its tags."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from worker.errors import FileDamaged, SizeConflict, TooLarge, UnsupportedPixels
from worker.reading import tags
from worker.reading.codestreams import Stream
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

    @property
    def is_ybr(self) -> bool:
        """Whether the first of three samples is the luma."""
        return self.photometric_interpretation in _YBR

    @property
    def frame_bytes(self) -> int:
        """Size of one uncompressed frame."""
        is_subsampled = self.photometric_interpretation == "YBR_FULL_422"
        samples = 2 if is_subsampled else self.samples_per_pixel
        return self.rows * self.columns * samples * self.bits_allocated // 8

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

    def aligned(self, words: Words) -> Words:
        """Only the stored bits, at the bottom: the others may hold an overlay or rubbish."""
        mask = words.dtype.type((1 << self.bits_stored) - 1)
        return (words >> words.dtype.type(self.high_bit + 1 - self.bits_stored)) & mask


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
    )


def _required(header: Dataset, keyword: str) -> int:
    value = tags.integer(header, keyword)
    if value is None:
        raise FileDamaged(f"{keyword} is missing")
    return value
