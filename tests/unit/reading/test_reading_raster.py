"""PNG, JPEG and TIFF: grey to the level, whatever the mode, and no scale but a person's."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hcmodel.geometry import Spacing
from worker import errors
from worker.reading import read
from worker.scan import Box

GREY = (np.arange(48 * 64, dtype=np.uint32) * 11 % 256).astype(np.uint8).reshape(48, 64)
SMOOTH = (np.add.outer(np.arange(48), np.arange(64)) * 2).astype(np.uint8)
RGB = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)
LUMA = np.rint(RGB @ np.array([0.299, 0.587, 0.114])).astype(int)


def off(scan, grey) -> int:
    return int(np.abs(scan.pixels.astype(int) - grey.astype(int)).max())


def palette_image() -> Image.Image:
    indices = Image.fromarray(255 - GREY, "P")
    indices.putpalette([level for n in range(256) for level in (255 - n,) * 3])
    return indices


PICTURES = {
    "grey": (Image.fromarray(GREY), GREY),
    "rgb": (Image.fromarray(RGB), LUMA),
    "palette": (palette_image(), GREY),
    "16 bits": (Image.fromarray(GREY.astype(np.uint16) << 8 | 77), GREY),
    "1 bit": (Image.fromarray(GREY > 99), np.where(GREY > 99, 255, 0)),
    "opaque": (Image.fromarray(np.dstack([GREY] * 3 + [GREY * 0 + 255])), GREY),
    "transparent": (Image.fromarray(np.dstack([GREY] * 3 + [GREY * 0])), GREY * 0),
    "grey with alpha": (Image.fromarray(np.dstack([GREY, GREY * 0 + 255])), GREY),
}


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("mode", PICTURES)
def test_lossless_modes(tmp_path, suffix, mode):
    picture, grey = PICTURES[mode]
    path = tmp_path / f"image{suffix}"
    picture.save(path)
    scan = read(path)
    assert off(scan, grey) <= (1 if mode == "rgb" else 0)
    (whole,) = scan.regions
    assert (whole.box, whole.spacing, whole.spacing_source) == (Box(0, 0, 64, 48), None, None)
    assert (scan.decoder, scan.frames, scan.sop_instance_uid) == ("pillow", 1, None)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "group4"])
def test_tiff_compressions(tmp_path, compression):
    grey = PICTURES["1 bit"] if compression == "group4" else PICTURES["grey"]
    grey[0].save(tmp_path / "image.tif", compression=compression)
    assert off(read(tmp_path / "image.tif"), grey[1]) == 0


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg(tmp_path, mode):
    Image.fromarray(SMOOTH).convert(mode).save(tmp_path / "image.jpg", quality=100, subsampling=0)
    assert off(read(tmp_path / "image.jpg"), SMOOTH) <= 2


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("bits", "photometric"), [(16, 1), (16, 0), (8, 0)])
def test_tiff_of_either_byte_order_and_polarity(tmp_path, order, bits, photometric):
    """Written by hand: Pillow writes neither."""
    stored = GREY if photometric else 255 - GREY
    words = stored if bits == 8 else (stored.astype(np.uint16) << 8).astype(f"{order}u2")
    entries = [
        (256, 4, 64), (257, 4, 48), (258, 3, bits), (259, 3, 1), (262, 3, photometric),
        (273, 4, 8 + 2 + 9 * 12 + 4), (277, 3, 1), (278, 4, 48), (279, 4, words.nbytes),
    ]  # fmt: skip
    directory = b"".join(
        struct.pack(order + "HHL", tag, kind, 1)
        + struct.pack(order + ("H2x" if kind == 3 else "L"), value)
        for tag, kind, value in entries
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "L", 8)
    count, last = struct.pack(order + "H", len(entries)), struct.pack(order + "L", 0)
    (tmp_path / "image.tif").write_bytes(head + count + directory + last + words.tobytes())
    if (order, bits, photometric) == (">", 16, 0):
        with pytest.raises(errors.UnsupportedPixels):  # Pillow does not know it
            read(tmp_path / "image.tif")
        return
    assert off(read(tmp_path / "image.tif"), GREY) == 0


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_exif_orientation_turns_the_image_as_viewers_do(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter to the left when it was taken
    path = tmp_path / f"image{suffix}"
    Image.fromarray(SMOOTH).save(path, exif=exif, **({"quality": 100} if suffix == ".jpg" else {}))
    assert off(read(path), np.rot90(SMOOTH, -1)) <= 2


def test_resolution_in_the_file_is_no_scale(tmp_path):
    for suffix in (".png", ".jpg", ".tif"):
        Image.fromarray(GREY).save(tmp_path / f"image{suffix}", dpi=(254, 254))
        assert read(tmp_path / f"image{suffix}").regions[0].spacing is None


def test_a_person_gives_the_scale(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "image.png")
    (whole,) = read(tmp_path / "image.png", manual=Spacing(0.2, 0.1)).regions
    assert (whole.spacing, whole.spacing_source) == (Spacing(0.2, 0.1), "manual")
    assert whole.flags == ("region-height-implausible",)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def png_of(columns: int, rows: int) -> bytes:
    header = struct.pack(">LLBBBBB", columns, rows, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data)


def jpeg_of(columns: int, rows: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, "JPEG")
    data = bytearray(buffer.getvalue())
    start = data.index(b"\xff\xc0") + 5
    data[start : start + 4] = struct.pack(">HH", rows, columns)
    return bytes(data)


def tiff_of(columns: int, rows: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, "TIFF")
    data = bytearray(buffer.getvalue())
    for tag, old, new in ((256, 64, columns), (257, 48, rows)):
        for form in ("<HHLHxx", "<HHLL"):
            entry = struct.pack(form, tag, 3 if "xx" in form else 4, 1, old)
            changed = struct.pack("<HHLL", tag, 4, 1, new)
            data = bytearray(bytes(data).replace(entry, changed))
    return bytes(data)


@pytest.mark.parametrize("write", [png_of, jpeg_of, tiff_of])
@pytest.mark.parametrize(
    ("columns", "rows"), [(20000, 1), (1, 20000), (5000, 5000), (60000, 60000)]
)
def test_claims_of_size_are_refused_before_decoding(tmp_path, write, columns, rows):
    (tmp_path / "bomb").write_bytes(write(columns, rows))
    with pytest.raises(errors.TooLarge, match=f"{columns}x{rows} pixels"):
        read(tmp_path / "bomb")


def test_text_chunk_that_inflates_without_end(tmp_path):
    info = PngInfo()
    info.add_text("comment", "x" * 70_000_000, zip=True)
    Image.fromarray(GREY).save(tmp_path / "text.png", pnginfo=info)
    assert (tmp_path / "text.png").stat().st_size < 100_000
    with pytest.raises(errors.FileDamaged):
        read(tmp_path / "text.png")


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bits_are_refused_by_name(tmp_path, mode):
    Image.fromarray(GREY).convert(mode).save(tmp_path / "image.tif")
    with pytest.raises(errors.UnsupportedPixels):
        read(tmp_path / "image.tif")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
def test_every_truncation_is_refused_by_name(tmp_path, form):
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, form)
    data = buffer.getvalue()
    path = tmp_path / "cut"
    for length in range(0, len(data) - 32, max(1, len(data) // 60)):
        path.write_bytes(data[:length])
        with pytest.raises(errors.ScanRejected) as refusal:
            read(path)
        assert refusal.value.code in ("file-empty", "not-an-image", "file-damaged")


def test_second_page_may_differ_in_size_and_mode(tmp_path):
    first, second = Image.fromarray(GREY), Image.fromarray(RGB[:20])
    first.save(tmp_path / "pages.tif", save_all=True, append_images=[second])
    assert off(read(tmp_path / "pages.tif", 1), LUMA[:20]) <= 1
