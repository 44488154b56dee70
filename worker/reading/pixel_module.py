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
    """One frame's words: ``(rows, columns)``, or with 3 colours as a last axis.

    ``bits`` are used of each word, the lowest. ``is_luma``: a colour image of which only the luma
    was decoded. ``is_rgb``: RGB, whatever the tags say.
    """

    words: Words
    bits: int
    is_luma: bool = False
    is_rgb: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """The Image Pixel module's part that says how to read a frame."""

    rows: int
    columns: int
    frames: int
    samples: int
    allocated: int
    stored: int
    high_bit: int
    signed: bool
    planar: bool
    photometric: str

    @property
    def is_ybr(self) -> bool:
        """Whether the first of three samples is the luma."""
        return self.photometric in _YBR

    @property
    def frame_bytes(self) -> int:
        """Size of one uncompressed frame."""
        samples = 2 if self.photometric == "YBR_FULL_422" else self.samples
        return self.rows * self.columns * samples * self.allocated // 8

    def check_size(self, stream: Stream) -> None:
        """A compressed image of another size than the tags say has an unknown scale."""
        if (stream.rows, stream.columns) != (self.rows, self.columns):
            raise SizeConflict(
                f"{stream.columns}x{stream.rows} against {self.columns}x{self.rows} pixels"
            )
        if stream.samples != self.samples:
            raise SizeConflict(f"{stream.samples} against {self.samples} samples per pixel")

    def shaped(self, raw: bytes, depth: int, *, planar: bool) -> Words:
        """``raw`` little-endian words of ``depth`` bits as an image."""
        values = np.frombuffer(raw, np.uint8 if depth == 8 else "<u2")
        count = self.rows * self.columns * self.samples
        if len(values) < count:
            raise FileDamaged("its pixel data is cut short")
        values = values[:count]
        if self.samples == 1:
            return values.reshape(self.rows, self.columns)
        if planar:
            return np.moveaxis(values.reshape(self.samples, self.rows, self.columns), 0, -1)
        return values.reshape(self.rows, self.columns, self.samples)

    def aligned(self, words: Words) -> Words:
        """Only the stored bits, at the bottom: the others may hold an overlay or rubbish."""
        mask = words.dtype.type((1 << self.stored) - 1)
        return (words >> words.dtype.type(self.high_bit + 1 - self.stored)) & mask


def read_form(header: Dataset) -> Form:
    """Reads and checks the Image Pixel module."""
    rows, columns = _required(header, "Rows"), _required(header, "Columns")
    if max(rows, columns) > MAX_SIDE_PX or rows * columns > MAX_PIXELS:
        raise TooLarge(f"{columns}x{rows} pixels")
    frames = tags.integer(header, "NumberOfFrames") or 1
    if frames > MAX_FRAMES:
        raise TooLarge(f"more than {MAX_FRAMES} frames")
    if min(rows, columns, frames) < 1:
        raise FileDamaged("it has no rows, columns or frames")
    photometric = tags.code(header, "PhotometricInterpretation")
    samples = tags.integer(header, "SamplesPerPixel") or (3 if photometric in _THREE_SAMPLES else 1)
    if photometric not in (_ONE_SAMPLE if samples == 1 else _THREE_SAMPLES if samples == 3 else ()):
        raise UnsupportedPixels(f"{samples} samples per pixel, or their colours")
    allocated = _required(header, "BitsAllocated")
    stored = tags.integer(header, "BitsStored") or allocated
    high_bit = tags.integer(header, "HighBit")
    high_bit = stored - 1 if high_bit is None else high_bit
    if allocated not in (8, 16) or not 1 <= stored <= high_bit + 1 <= allocated:
        raise UnsupportedPixels(f"{stored} of {allocated} bits, highest {high_bit}")
    return Form(
        rows,
        columns,
        frames,
        samples,
        allocated,
        stored,
        high_bit,
        signed=tags.integer(header, "PixelRepresentation") == 1,
        planar=tags.integer(header, "PlanarConfiguration") == 1,
        photometric=photometric,
    )


def _required(header: Dataset, keyword: str) -> int:
    value = tags.integer(header, keyword)
    if value is None:
        raise FileDamaged(f"{keyword} is missing")
    return value
