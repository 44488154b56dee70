"""DICOM to ``Scan``: the gate, the header, one frame by its pinned decoder, grey."""

from __future__ import annotations

import io
import os
import zlib
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame, parse_basic_offsets, parse_fragments
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from hcmodel.arrays import GreyImage
from hcmodel.flags import Flag
from hcmodel.geometry import Spacing
from worker.errors import (
    EnhancedUsVolume,
    FileDamaged,
    NoPixelData,
    NoSuchFrame,
    SizeConflict,
    TooLarge,
    UnsupportedPixels,
)
from worker.reading import dicom_structure, exam, grey, palette, pixel_module, spacing, tags
from worker.reading.codecs import Codec, codec_for
from worker.reading.formats import FileFormat, dicom_object
from worker.reading.library_errors import refusing_damage
from worker.reading.limits import MAX_INFLATED_BYTES
from worker.reading.pixel_module import Decoded, PixelLayout, Words
from worker.reading.source import Source
from worker.scan import Region, Scan

# JPEG and JPEG-LS; JPEG 2000, bare and in its own file format.
_BEGIN_OF_IMAGE = (b"\xff\xd8", b"\xff\x4f")
_ITEM_HEADER_BYTES = 8
_SEQUENCE_END = b"\xfe\xff\xdd\xe0"

_TAGS: list[BaseTag | int] = [
    Tag(keyword)
    for keyword in (
        "SOPClassUID",
        "SOPInstanceUID",
        "StudyInstanceUID",
        "ExtendedOffsetTable",
        "ExtendedOffsetTableLengths",
        *exam.TAGS,
        *pixel_module.TAGS,
        *spacing.TAGS,
        *grey.TAGS,
        *palette.TAGS,
    )
]


@dataclass(frozen=True, slots=True)
class DicomImage:
    """A DICOM image whose header passed the gate; no pixel of it was decoded."""

    header: Dataset
    file: BinaryIO
    pixels: dicom_structure.Element
    transfer_syntax: str
    sop_class: str
    layout: PixelLayout
    codec: Codec

    def check_frame(self, frame: int) -> None:
        """Raise ``NoSuchFrame`` for a frame that the tags do not announce."""
        if not 0 <= frame < self.layout.frames:
            raise NoSuchFrame(f"frame {frame} of {self.layout.frames}")

    def regions(self, manual: Spacing | None) -> tuple[Region, ...]:
        """Where a head may lie; raises a ``ScanRejected`` as ``candidate_regions`` does."""
        shape = (self.layout.rows, self.layout.columns)
        return spacing.candidate_regions(self.header, self.sop_class, shape, manual)


def open_image(source: Source) -> DicomImage:
    """Read everything before the pixels; what can be refused by a ``ScanRejected`` is, here."""
    meta = dicom_structure.read_meta(source.file, source.size_bytes)
    other = dicom_object(meta.sop_class)
    if other is not None:
        raise NoPixelData(f"it is {other.reason}")
    codec = codec_for(meta.transfer_syntax)
    file, start, size_bytes = open_dataset(source, meta)
    pixels = None
    for element in dicom_structure.walk(file, start, size_bytes, meta.transfer_syntax):
        pixels = element
    header = _header(file, start, meta.transfer_syntax)
    sop_class = tags.uid(header, "SOPClassUID") or meta.sop_class
    if sop_class == spacing.ENHANCED_US_VOLUME:
        raise EnhancedUsVolume
    if pixels is None or pixels.tag not in (
        dicom_structure.PIXEL_DATA,
        *dicom_structure.FLOAT_PIXEL_DATA,
    ):
        raise NoPixelData
    if pixels.tag != dicom_structure.PIXEL_DATA:
        raise UnsupportedPixels("floating point")
    layout = pixel_module.read_layout(header)
    if codec.decode is None:
        layout = pixel_module.stored_layout(layout, file, pixels)
    else:
        _check_fragments(file, pixels, codec, layout.frames)
    return DicomImage(header, file, pixels, meta.transfer_syntax, sop_class, layout, codec)


def read_scan(source: Source, _: FileFormat, frame: int, manual: Spacing | None) -> Scan:
    """One frame of a DICOM file.

    Raises a ``ScanRejected`` by name, and before decoding wherever the header already tells.
    """
    image = open_image(source)
    image.check_frame(frame)
    regions = image.regions(manual)
    pixels, flags = _grey(image, _decode(image, frame))
    return Scan(
        pixels=np.ascontiguousarray(pixels),
        regions=regions,
        frame=frame,
        frames=image.layout.frames,
        decoder=image.codec.name,
        sha256=source.sha256(),
        sop_instance_uid=tags.uid(image.header, "SOPInstanceUID"),
        study_instance_uid=tags.uid(image.header, "StudyInstanceUID"),
        exam=exam.read_exam(image.header),
        flags=flags,
    )


def describe(
    source: Source, _: FileFormat, frame: int, manual: Spacing | None, read: dict[str, Any]
) -> tuple[Region, ...]:
    """Where a head may lie, by the header; rows, columns and the like go into ``read``.

    Raises a ``ScanRejected`` by name.
    """
    image = open_image(source)
    read.update(
        rows=image.layout.rows,
        columns=image.layout.columns,
        frames=image.layout.frames,
        decoder=image.codec.name,
        transfer_syntax=UID(image.transfer_syntax).name,
        photometric=image.layout.photometric_interpretation,
    )
    image.check_frame(frame)
    return image.regions(manual)


def open_dataset(source: Source, meta: dicom_structure.Meta) -> tuple[BinaryIO, int, int]:
    """Return where the dataset lies: the file, its start and its end in it.

    A deflated one is inflated as long as it stays within bounds, since 2 MB can hold 4 GB of
    nothing; raises ``TooLarge`` beyond, and ``FileDamaged``.
    """
    if meta.transfer_syntax != dicom_structure.DEFLATED:
        return source.file, meta.end, source.size_bytes
    source.file.seek(meta.end)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    with refusing_damage("its deflated data"):
        data = inflater.decompress(source.file.read(), MAX_INFLATED_BYTES)
    if inflater.unconsumed_tail:
        raise TooLarge(f"more than {MAX_INFLATED_BYTES} bytes when inflated")
    return io.BytesIO(data), 0, len(data)


def _header(file: BinaryIO, start: int, transfer_syntax: str) -> Dataset:
    file.seek(start)
    with refusing_damage("its header"):
        return read_dataset(
            file,
            is_implicit_VR=dicom_structure.is_implicit(file, start, transfer_syntax),
            is_little_endian=transfer_syntax != dicom_structure.EXPLICIT_BIG,
            stop_when=lambda tag, *_: tag >= 0x7FE00008 and tag <= dicom_structure.PIXEL_DATA,
            specific_tags=_TAGS,
        )


def _decode(image: DicomImage, frame: int) -> Decoded:
    if image.codec.decode is None:
        return _native(image, frame)
    data = _encapsulated(image, frame)
    return image.codec.decode(data, image.layout, image.transfer_syntax)


def _native(image: DicomImage, frame: int) -> Decoded:
    """Read just this frame's bytes."""
    layout, pixels = image.layout, image.pixels
    size_bytes = layout.frame_bytes
    start = frame * size_bytes
    assert pixels.length is not None  # see stored_layout
    if start + size_bytes > pixels.length:
        raise FileDamaged("its pixel data is cut short")
    # Words of 16 bits may be swapped; a frame of odd length begins or ends inside one.
    first, last = start & ~1, (start + size_bytes + 1) & ~1
    image.file.seek(pixels.offset + first)
    raw = image.file.read(last - first).ljust(last - first, b"\0")
    if image.transfer_syntax == dicom_structure.EXPLICIT_BIG and "OW" in (
        pixels.vr,
        _word_vr(layout),
    ):
        raw = np.frombuffer(raw, ">u2").astype("<u2").tobytes()
    raw = raw[start - first :][:size_bytes]
    if layout.is_subsampled:
        return _subsampled(raw, layout)
    if layout.samples_per_pixel == 1:
        words = layout.shaped(raw, layout.bits_allocated, by_plane=False)
        return Decoded(*layout.aligned(words))
    words, bits = layout.aligned(pixel_module.read_by_evidence(layout, raw))
    is_rgb = layout.contradicts_tag and pixel_module.shows_rgb(words)
    return Decoded(words, bits, is_rgb=is_rgb)


def _word_vr(layout: PixelLayout) -> str:
    return "OW" if layout.bits_allocated == 16 else "OB"


def _subsampled(raw: bytes, layout: PixelLayout) -> Decoded:
    """Take the luma: two samples stand before their common colours (PS3.3 C.7.6.3.1.2)."""
    if layout.columns % 2 or layout.bits_allocated != 8:
        raise UnsupportedPixels("YBR_FULL_422 of this size or depth")
    luma = np.frombuffer(raw, np.uint8).reshape(-1, 4)[:, :2]
    return Decoded(luma.reshape(layout.rows, layout.columns), bits=8, is_luma=True)


def _check_fragments(
    file: BinaryIO, pixels: dicom_structure.Element, codec: Codec, frames: int
) -> None:
    """Refuse compressed pixel data that is none, is empty, or holds more than the tags' one image.

    Without NumberOfFrames all of it is taken for one frame, of which decoders read the first image.
    """
    if pixels.length is not None:
        raise FileDamaged("its pixel data is not compressed, against its transfer syntax")
    with refusing_damage("its pixel data"):
        file.seek(pixels.offset)
        parse_basic_offsets(file)
        if file.read(4) == _SEQUENCE_END:
            raise NoPixelData("its pixel data is empty")
        file.seek(-4, os.SEEK_CUR)
        offsets = parse_fragments(file)[1] if frames == 1 else []
    images = 0
    for offset in offsets:
        file.seek(offset + _ITEM_HEADER_BYTES)
        images += codec.has_whole_fragments or file.read(2) in _BEGIN_OF_IMAGE
    if images > 1:
        raise SizeConflict(f"{images} images in its pixel data, of which the tags explain 1")


def _encapsulated(image: DicomImage, frame: int) -> bytes:
    """One frame's bytes, found by the offset tables or, without them, by its fragments."""
    tables = (
        tags.raw_bytes(image.header, "ExtendedOffsetTable"),
        tags.raw_bytes(image.header, "ExtendedOffsetTableLengths"),
    )
    image.file.seek(image.pixels.offset)
    with refusing_damage("its pixel data"):
        return get_frame(
            image.file,
            frame,
            number_of_frames=image.layout.frames,
            extended_offsets=tables if all(tables) else None,
        )


def _grey(image: DicomImage, decoded: Decoded) -> tuple[GreyImage, tuple[Flag, ...]]:
    """Return the frame as ``(rows, columns)``, black is 0, and what was wrong with it."""
    words, bits = decoded.words, decoded.bits
    if decoded.is_luma:
        return _to_bytes(words, bits), ()
    if words.ndim == 3 and image.layout.is_ybr and not decoded.is_rgb:
        return _to_bytes(words[..., 0], bits), ()
    if words.ndim == 3:
        return grey.luma(_to_bytes(words, bits)), ()
    if image.layout.photometric_interpretation == "PALETTE COLOR":
        return _through_palette(image, words, bits), ()
    display = grey.read_display(image.header, image.layout.photometric_interpretation)
    shown = _displayed(words, bits, display, is_signed=image.layout.is_signed)
    if display.window is None:
        return shown, ()
    plain = _displayed(words, bits, replace(display, window=None), is_signed=image.layout.is_signed)
    if grey.is_lost(shown, plain):
        return plain, (Flag.WINDOW_UNUSABLE,)
    return shown, ()


def _through_palette(image: DicomImage, words: Words, bits: int) -> GreyImage:
    signed = image.layout.is_signed
    table = palette.read_palette(
        image.header,
        big_endian=image.transfer_syntax == dicom_structure.EXPLICIT_BIG,
        signed=signed,
    )
    sign = 1 << (bits - 1)
    values = words.astype(np.int32)
    return table.apply((values ^ sign) - sign if signed else values)


def _displayed(words: Words, bits: int, display: grey.Display, *, is_signed: bool) -> GreyImage:
    """Look each word up in a table of all values that it can have."""
    if display.window is None:
        bits, is_signed = pixel_module.held_bits(words, bits, is_signed=is_signed)
    words = words.astype(np.uint16)
    sign, highest = 1 << (bits - 1), (1 << bits) - 1
    lowest = -sign if is_signed else 0
    levels = display.levels(lowest, lowest + highest)
    # Flipping the sign bit puts two's complement in order, the lowest value at 0.
    entries = (words & highest) ^ sign if is_signed else np.minimum(words, highest)
    return np.asarray(levels[entries])


def _to_bytes(words: Words, bits: int) -> GreyImage:
    """Return the upper 8 of the bits that the values need, in the shape of ``words``."""
    bits, _ = pixel_module.held_bits(words, bits, is_signed=False)
    if bits == 8:
        return words.astype(np.uint8, copy=False)
    if bits > 8:
        return (words >> (bits - 8)).astype(np.uint8)
    return (words << (8 - bits)).astype(np.uint8)
