"""PNG, JPEG and TIFF to ``Scan``. Nothing in them is a scale of the anatomy, dpi least of all."""

from __future__ import annotations

import struct
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from hcmodel.geometry import Spacing
from worker.errors import FileDamaged, NoSuchFrame, TooLarge, UnsupportedPixels
from worker.reading import codestreams, tiff
from worker.reading.formats import Kind
from worker.reading.grey import luma
from worker.reading.library_errors import refusing_damage
from worker.reading.limits import MAX_PIXELS, MAX_SIDE_PX
from worker.reading.source import Source
from worker.reading.spacing import whole_raster
from worker.scan import SPACING_MANUAL, Region, Scan

DECODER = "pillow"

_FORMATS = {Kind.PNG: "PNG", Kind.JPEG: "JPEG", Kind.TIFF: "TIFF"}
# A JPEG's size may stand behind a preview of up to 64 KiB per marker, and metadata.
_JPEG_HEAD_BYTES = 4 * 1024**2


def read_raster(source: Source, kind: Kind, frame: int, manual: Spacing | None) -> Scan:
    """One page of a raster image, turned as its EXIF orientation tells."""
    page, frames = open_page(source, kind, frame)
    image = _open(source.file, kind)
    with refusing_damage(f"its {_FORMATS[kind]} data"):
        if kind is Kind.TIFF:
            image.seek(frame)
        elif kind is Kind.JPEG:
            image.draft("L", None)
        image.load()
        upright = ImageOps.exif_transpose(image)
    pixels = _grey(upright, page)
    return Scan(
        pixels=np.ascontiguousarray(pixels),
        regions=(page_region((pixels.shape[0], pixels.shape[1]), manual),),
        frame=frame,
        frames=frames,
        decoder=DECODER,
        sha256=source.sha256(),
    )


def open_page(source: Source, kind: Kind, frame: int) -> tuple[tiff.Page, int]:
    """The page, by its header alone, and how many there are."""
    pages = _pages(source, kind)
    if not 0 <= frame < len(pages):
        raise NoSuchFrame(f"page {frame} of {len(pages)}")
    page = pages[frame]
    if max(page.rows, page.columns) > MAX_SIDE_PX or page.rows * page.columns > MAX_PIXELS:
        raise TooLarge(f"{page.columns}x{page.rows} pixels")
    return page, len(pages)


def page_region(shape: tuple[int, int], manual: Spacing | None) -> Region:
    """The whole page; its scale is a person's or none."""
    return whole_raster(shape, manual, SPACING_MANUAL if manual else None)


def _pages(source: Source, kind: Kind) -> list[tiff.Page]:
    """Sizes by the file's own header, before a decoder allocates for them."""
    if kind is Kind.TIFF:
        return tiff.pages(source.file, source.size_bytes)
    if kind is Kind.PNG:
        return [_png_size(source.file)]
    source.file.seek(0)
    stream = codestreams.jpeg(source.file.read(_JPEG_HEAD_BYTES))
    return [tiff.Page(stream.rows, stream.columns, stream.precision, stream.samples, None)]


def _png_size(file: BinaryIO) -> tiff.Page:
    file.seek(8)
    head = file.read(18)
    if len(head) < 18 or head[4:8] != b"IHDR":
        raise FileDamaged("its PNG header")
    columns, rows, bits, _ = struct.unpack(">LLBB", head[8:])
    return tiff.Page(rows, columns, bits, 1, None)


def _open(file: BinaryIO, kind: Kind) -> Image.Image:
    file.seek(0)
    with refusing_damage(f"its {_FORMATS[kind]} header"):
        try:
            return Image.open(file, formats=(_FORMATS[kind],))
        except UnidentifiedImageError:
            # Of TIFF there are more kinds than Pillow knows, and its directories were sound.
            if kind is Kind.TIFF:
                raise UnsupportedPixels("a kind of TIFF") from None
            raise


def _grey(image: Image.Image, page: tiff.Page) -> NDArray[np.uint8]:
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
            return np.asarray(image.convert("L"))
        return luma(np.asarray(image.convert("RGB")))


def _sixteen_bits(words: NDArray[np.generic], page: tiff.Page) -> NDArray[np.uint8]:
    values = words.astype(np.uint16)
    grey = (values >> max(page.bits - 8, 0)).astype(np.uint8)
    return 255 - grey if page.photometric == tiff.MIN_IS_WHITE else grey
