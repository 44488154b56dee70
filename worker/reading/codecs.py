"""One pinned decoder per transfer syntax.

Decoders differ by up to 20 grey levels on the same file, so none stands in for another: what the
pinned one cannot read is refused. Each takes one frame's bytes and gives ``Decoded``.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import jpeg_ls
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rle.utils import decode_pixel_data

from worker.errors import (
    DecoderMissing,
    FileDamaged,
    SizeConflict,
    UnsupportedPixels,
    UnsupportedTransferSyntax,
)
from worker.reading import codestreams
from worker.reading.dicom_structure import DEFLATED, EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE
from worker.reading.library_errors import refusing_damage
from worker.reading.pixel_module import Decoded, PixelLayout, Words

_JPEG_BASELINE, _JPEG_EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
_JPEG_LOSSLESS, _JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"
_JPEG_LS, _JPEG_LS_NEAR = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"
_JPEG_2000_LOSSLESS, _JPEG_2000 = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"

_RLE = "1.2.840.10008.1.2.5"

_END_OF_IMAGE = b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class Codec:
    """A decoder by name; ``decode`` is ``None`` where the frame lies open in the file.

    ``module`` is what an extra has to bring. ``has_whole_fragments``: no frame lies in several.
    """

    name: str
    decode: Callable[[bytes, PixelLayout, str], Decoded] | None = None
    module: str | None = None
    has_whole_fragments: bool = False


def codec_for(transfer_syntax: str) -> Codec:
    """Return the one decoder for this transfer syntax.

    Raises ``UnsupportedTransferSyntax``, or ``DecoderMissing`` where an extra is not installed.
    """
    codec = _CODECS.get(transfer_syntax)
    if codec is None:
        raise UnsupportedTransferSyntax(_REFUSED.get(transfer_syntax, ""))
    if codec.module is not None and find_spec(codec.module) is None:
        raise DecoderMissing
    return codec


def _jpeg(data: bytes, layout: PixelLayout, _: str) -> Decoded:
    """Decode 8-bit JPEG; of a colour image only the luma, as the stream holds it."""
    stream = codestreams.jpeg(data)
    layout.check_size(stream)
    if stream.precision != 8:
        raise UnsupportedPixels(f"a JPEG image of {stream.precision} bits")
    image = _open(data, "JPEG")
    is_ybr = layout.is_ybr if stream.is_ybr is None else stream.is_ybr
    with refusing_damage("its JPEG data"):
        if layout.samples_per_pixel == 1:
            return Decoded(_array(image, layout, 1), bits=8)
        if is_ybr or stream.is_ybr is not None:
            image.draft("L", None)
            return Decoded(_array(image.convert("L"), layout, 1), bits=8, is_luma=True)
        # No marker tells the colours, so libjpeg takes them for YCbCr and hands them through.
        image.draft("YCbCr", None)
        return Decoded(_array(image, layout, 3), bits=8)


def _jpeg_2000(data: bytes, layout: PixelLayout, _: str) -> Decoded:
    stream = codestreams.jpeg2000(data)
    layout.check_size(stream)
    depth = 8 if stream.precision <= 8 else 16
    if stream.precision > (16 if layout.samples_per_pixel == 1 else 8):
        raise UnsupportedPixels(f"a JPEG 2000 image of {stream.precision} bits")
    image = _open(data, "JPEG2000")
    with refusing_damage("its JPEG 2000 data"):
        words = _array(image, layout, layout.samples_per_pixel)
    # Pillow moves fewer bits to the top, and signed values up by half their range.
    words = words >> words.dtype.type(depth - stream.precision)
    if stream.is_signed:
        # Negative values wrap round to the words that an uncompressed file would hold.
        words = words.astype(np.uint16) - np.uint16(1 << (stream.precision - 1))
    return Decoded(
        words,
        layout.precision_of(stream.precision),
        is_rgb=layout.photometric_interpretation in ("YBR_RCT", "YBR_ICT"),
    )


def _jpeg_ls(data: bytes, layout: PixelLayout, _: str) -> Decoded:
    stream = codestreams.jpeg(data)
    layout.check_size(stream)
    if _END_OF_IMAGE not in data:
        # CharLS would search it behind the end of the data, for ten seconds.
        raise FileDamaged("its JPEG-LS data")
    with refusing_damage("its JPEG-LS data"):
        raw, info = jpeg_ls.decode_pixel_data(data)
        is_by_plane = info["components"] > 1 and info["interleave_mode"] == 0
        depth = 8 if info["bits_per_sample"] <= 8 else 16
    words = layout.shaped(bytes(raw), depth, by_plane=is_by_plane)
    return Decoded(words, layout.precision_of(stream.precision))


def _run_lengths(data: bytes, layout: PixelLayout, _: str) -> Decoded:
    segments = codestreams.rle_segments(data)
    if segments != layout.samples_per_pixel * layout.bits_allocated // 8:
        raise SizeConflict(f"{segments} RLE segments")
    with refusing_damage("its RLE data"):
        raw = decode_pixel_data(
            data,
            version=2,
            rows=layout.rows,
            columns=layout.columns,
            bits_allocated=layout.bits_allocated,
        )
    words = layout.shaped(bytes(raw), layout.bits_allocated, by_plane=True)
    return Decoded(*layout.aligned(words))


def _jpeg_lossless(data: bytes, layout: PixelLayout, transfer_syntax: str) -> Decoded:
    import gdcm  # an extra

    stream = codestreams.jpeg(data)
    layout.check_size(stream)
    depth = 8 if stream.precision <= 8 else 16
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(data)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((layout.columns, layout.rows, 1))
    image.SetDataElement(element)
    colours = gdcm.PhotometricInterpretation.GetPIType(layout.photometric_interpretation)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(colours))
    syntax = gdcm.TransferSyntax.GetTSType(transfer_syntax)
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    image.SetPixelFormat(
        gdcm.PixelFormat(layout.samples_per_pixel, depth, stream.precision, stream.precision - 1, 0)
    )
    with refusing_damage("its JPEG data"):
        # GDCM's wrapper gives bytes as text, and nothing where it failed.
        raw = image.GetBuffer().encode("utf-8", "surrogateescape")
    words = layout.shaped(raw, depth, by_plane=False)
    return Decoded(words, layout.precision_of(stream.precision))


def _open(data: bytes, kind: str) -> Image.Image:
    with refusing_damage(f"its {kind} data"):
        return Image.open(io.BytesIO(data), formats=(kind,))


def _array(image: Image.Image, layout: PixelLayout, samples: int) -> Words:
    values: NDArray[Any] = np.asarray(image)
    shape = (
        (layout.rows, layout.columns) if samples == 1 else (layout.rows, layout.columns, samples)
    )
    if values.dtype not in (np.uint8, np.uint16) or values.shape != shape:
        raise UnsupportedPixels(f"a compressed image of kind {image.mode}")
    return values


_CODECS = {
    IMPLICIT_LITTLE: Codec("pydicom"),
    EXPLICIT_LITTLE: Codec("pydicom"),
    EXPLICIT_BIG: Codec("pydicom"),
    DEFLATED: Codec("pydicom"),
    _JPEG_BASELINE: Codec("pillow", _jpeg),
    _JPEG_EXTENDED: Codec("pillow", _jpeg),
    _JPEG_LOSSLESS: Codec("python-gdcm", _jpeg_lossless, module="gdcm"),
    _JPEG_LOSSLESS_SV1: Codec("python-gdcm", _jpeg_lossless, module="gdcm"),
    _JPEG_LS: Codec("pyjpegls", _jpeg_ls),
    _JPEG_LS_NEAR: Codec("pyjpegls", _jpeg_ls),
    _JPEG_2000_LOSSLESS: Codec("pillow", _jpeg_2000),
    _JPEG_2000: Codec("pillow", _jpeg_2000),
    _RLE: Codec("pylibjpeg-rle", _run_lengths, has_whole_fragments=True),
}

_JPEG_XL = "JPEG XL"
_REFUSED = {
    "1.2.840.10008.1.2.4.100": "MPEG-2",
    "1.2.840.10008.1.2.4.100.1": "MPEG-2",
    "1.2.840.10008.1.2.4.101": "MPEG-2",
    "1.2.840.10008.1.2.4.101.1": "MPEG-2",
    "1.2.840.10008.1.2.4.102": "MPEG-4",
    "1.2.840.10008.1.2.4.102.1": "MPEG-4",
    "1.2.840.10008.1.2.4.103": "MPEG-4",
    "1.2.840.10008.1.2.4.103.1": "MPEG-4",
    "1.2.840.10008.1.2.4.104": "MPEG-4",
    "1.2.840.10008.1.2.4.104.1": "MPEG-4",
    "1.2.840.10008.1.2.4.105": "MPEG-4",
    "1.2.840.10008.1.2.4.105.1": "MPEG-4",
    "1.2.840.10008.1.2.4.106": "MPEG-4",
    "1.2.840.10008.1.2.4.106.1": "MPEG-4",
    "1.2.840.10008.1.2.4.107": "HEVC",
    "1.2.840.10008.1.2.4.108": "HEVC",
    "1.2.840.10008.1.2.4.110": "JPEG XL",
    "1.2.840.10008.1.2.4.111": "JPEG XL",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
    "1.2.840.10008.1.2.4.201": "High-Throughput JPEG 2000",
}
