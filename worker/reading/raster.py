"""PNG, JPEG and TIFF to ``Scan``. Nothing in them is a scale of the anatomy, dpi least of all."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from hcmodel.arrays import GreyImage, shape_of
from hcmodel.geometry import Spacing
from worker.errors import FileDamaged, NoSuchFrame, TooLarge, UnsupportedPixels
from worker.reading import codestreams, tiff
from worker.reading.formats import FileFormat
from worker.reading.grey import luma
from worker.reading.library_errors import refusing_damage
from worker.reading.limits import MAX_PIXELS, MAX_SIDE_PX
from worker.reading.pixel_module import held_bits
from worker.reading.source import Source
from worker.reading.spacing import whole_raster
from worker.scan import SPACING_MANUAL, Region, Scan

DECODER = "pillow"

_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_LOWEST_LIGHT = 16
"""What 12 bits of values reach in the upper 8 of 16."""
# A JPEG's size may stand behind a preview of up to 64 KiB per marker, and metadata.
_JPEG_HEAD_BYTES = 4 * 1024**2


def read_scan(source: Source, file_format: FileFormat, frame: int, manual: Spacing | None) -> Scan:
    """One page of a raster image, turned as its EXIF orientation tells.

    Raises a ``ScanRejected`` by name, and before decoding wherever the header already tells.
    """
    raster = _RASTERS[file_format]
    page, frames = _open_page(source, raster, frame)
    image = _open(source.file, raster)
    with refusing_damage(f"its {raster.name} data"):
        if frame > 0:
            image.seek(frame)
        image.draft("L", None)  # a JPEG's luma without its colours; others pass over it
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
    pixels = _grey(image, page)
    return Scan(
        pixels=np.ascontiguousarray(pixels),
        regions=(_page_region(shape_of(pixels), manual),),
        frame=frame,
        frames=frames,
        decoder=DECODER,
        sha256=source.sha256(),
    )


def describe(
    source: Source,
    file_format: FileFormat,
    frame: int,
    manual: Spacing | None,
    read: dict[str, Any],
) -> tuple[Region, ...]:
    """Return the one region of a page, by its header; rows and the like go into ``read``."""
    page, frames = _open_page(source, _RASTERS[file_format], frame)
    read.update(rows=page.rows, columns=page.columns, frames=frames, decoder=DECODER)
    return (_page_region((page.rows, page.columns), manual),)


def _open_page(source: Source, raster: _Raster, frame: int) -> tuple[tiff.Page, int]:
    """Return the page, by its header alone, and how many there are."""
    pages = raster.pages(source)
    if not 0 <= frame < len(pages):
        raise NoSuchFrame(f"page {frame} of {len(pages)}")
    page = pages[frame]
    if max(page.rows, page.columns) > MAX_SIDE_PX or page.rows * page.columns > MAX_PIXELS:
        raise TooLarge(f"{page.columns}x{page.rows} pixels")
    return page, len(pages)


def _page_region(shape: tuple[int, int], manual: Spacing | None) -> Region:
    """Return the whole page; its scale is a person's or none."""
    return whole_raster(shape, manual, SPACING_MANUAL if manual else None)


def _png_pages(source: Source) -> list[tiff.Page]:
    source.file.seek(8)
    head = source.file.read(18)
    if len(head) < 18 or head[4:8] != b"IHDR":
        raise FileDamaged("its PNG header")
    columns, rows, bits, colour_type = struct.unpack(">LLBB", head[8:])
    return [tiff.Page(rows, columns, bits, _PNG_SAMPLES.get(colour_type, 1), None)]


def _jpeg_pages(source: Source) -> list[tiff.Page]:
    source.file.seek(0)
    stream = codestreams.jpeg(source.file.read(_JPEG_HEAD_BYTES))
    if stream.precision != 8:
        raise UnsupportedPixels(f"a JPEG image of {stream.precision} bits")
    if not stream.is_lossy:
        raise UnsupportedPixels("a lossless or hierarchical JPEG image")
    return [tiff.Page(stream.rows, stream.columns, stream.precision, stream.samples, None)]


def _tiff_pages(source: Source) -> list[tiff.Page]:
    return tiff.pages(source.file, source.size_bytes)


@dataclass(frozen=True, slots=True)
class _Raster:
    """How Pillow calls a format, and its pages by its own header, before Pillow allocates."""

    name: str
    pages: Callable[[Source], list[tiff.Page]]


_RASTERS = {
    FileFormat.PNG: _Raster("PNG", _png_pages),
    FileFormat.JPEG: _Raster("JPEG", _jpeg_pages),
    FileFormat.TIFF: _Raster("TIFF", _tiff_pages),
}


def _open(file: BinaryIO, raster: _Raster) -> Image.Image:
    file.seek(0)
    with refusing_damage(f"its {raster.name} header"):
        try:
            return Image.open(file, formats=(raster.name,))
        except UnidentifiedImageError:
            # Of TIFF there are more kinds than Pillow knows, and its directories were sound.
            if raster.name == "TIFF":
                raise UnsupportedPixels("a kind of TIFF") from None
            raise


def _grey(image: Image.Image, page: tiff.Page) -> GreyImage:
    if image.mode.startswith("I;16"):
        return _sixteen_bits(np.asarray(image), page)
    if image.mode in ("I", "F"):
        raise UnsupportedPixels("32 bits")
    with refusing_damage("its colours"):
        if image.has_transparency_data:
            # What is transparent lies on black, as everything around an ultrasound image does.
            rgba = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", rgba.size, "black"), rgba)
        if image.mode in ("1", "L"):
            grey = np.asarray(image if image.mode == "L" else image.convert("L"))
        else:
            grey = luma(np.asarray(image.convert("RGB")))
    if page.bits == 16 and grey.max() < _LOWEST_LIGHT:
        # Pillow hands on the upper 8 bits of each colour, and there is nothing in them.
        raise UnsupportedPixels("colours of 16 bits that use the lower ones only")
    return grey


def _sixteen_bits(words: NDArray[np.generic], page: tiff.Page) -> GreyImage:
    values = words.astype(np.uint16)
    bits, _ = held_bits(values, page.bits, is_signed=False)
    grey = (values >> max(bits - 8, 0)).astype(np.uint8)
    return 255 - grey if page.photometric == tiff.MIN_IS_WHITE else grey
