"""Hostile and broken files: refused by name, within a second, and without the memory they claim."""

from __future__ import annotations

import io
import os
import resource
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from worker import errors
from worker.reading import FramePolicy, classify, frame_indices, read, resolve_inside

ALL = FramePolicy.parse("all")
UNDEFINED = 0xFFFFFFFF


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """An element in explicit VR little endian, of any length that it claims."""
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    size = len(value) if length is None else length
    if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT"):
        return head + b"\0\0" + struct.pack("<L", size) + value
    return head + struct.pack("<H", size) + value


@pytest.fixture
def parts(image, region, save) -> Callable[..., tuple[bytes, bytes]]:
    """A sound file, cut where its dataset begins."""

    def cut(transfer_syntax: str = ExplicitVRLittleEndian) -> tuple[bytes, bytes]:
        data = save(image(region()), "sound.dcm", transfer_syntax=transfer_syntax).read_bytes()
        (length,) = struct.unpack("<L", data[140:144])
        return data[: 144 + length], data[144 + length :]

    return cut


@pytest.fixture
def refused(tmp_path) -> Callable[[bytes], errors.ScanRejected]:
    """Reads ``data`` as a file and gives the refusal, if it came fast and took little memory."""

    def refuse(data: bytes, *, within_s: float = 60.0) -> errors.ScanRejected:
        path = tmp_path / "hostile.dcm"
        path.write_bytes(data)
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start_s = time.monotonic()
        classify(path)
        frame_indices(path, ALL)
        with pytest.raises(errors.ScanRejected) as refusal:
            read(path)
        assert time.monotonic() - start_s < within_s
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 700 * 1024
        return refusal.value

    return refuse


def test_deflated_bomb(parts, refused):
    meta, _ = parts(DeflatedExplicitVRLittleEndian)
    deflate = zlib.compressobj(9, wbits=-15)
    # A fully flushed block stands alone, so it may be repeated instead of compressed again.
    megabyte = deflate.compress(bytes(1 << 20)) + deflate.flush(zlib.Z_FULL_FLUSH)
    packed = megabyte * 1900
    assert len(packed) < 2_000_000
    assert refused(meta + packed).code == "too-large"


def test_deflated_rubbish(parts, refused):
    meta, _ = parts(DeflatedExplicitVRLittleEndian)
    assert refused(meta + b"\xff" * 1000).code == "file-damaged"


def j2k_claiming(columns: int, rows: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (64, 64)).save(buffer, "JPEG2000", no_jp2=True)
    data = bytearray(buffer.getvalue())
    data[8:16] = data[24:32] = struct.pack(">LL", columns, rows)
    return bytes(data)


@pytest.mark.parametrize(("rows", "code"), [(20000, "too-large"), (480, "size-conflict")])
def test_small_jpeg_2000_of_20000_by_20000(image, save, refused, rows, code):
    ds = image(Rows=rows, Columns=rows, PixelData=encapsulate([j2k_claiming(20000, 20000)]))
    ds["PixelData"].VR = "OB"
    path = save(ds, transfer_syntax=JPEG2000Lossless)
    assert path.stat().st_size < 3000
    assert refused(path.read_bytes()).code == code


def test_rle_claiming_65535_by_65535(image, save, refused):
    header = struct.pack("<16L", 3, 64, 66, 68, *[0] * 12)
    tags = {"Rows": 65535, "Columns": 65535, "SamplesPerPixel": 3, "PlanarConfiguration": 0}
    ds = image(PhotometricInterpretation="RGB", **tags)
    ds.PixelData = encapsulate([header + b"\xfe\0" * 3])
    assert refused(save(ds, transfer_syntax=RLELossless).read_bytes()).code == "too-large"


@pytest.mark.parametrize(
    ("segments", "body", "code"),
    [(3, b"", "size-conflict"), (1, b"\xfe\0", "file-damaged"), (1, b"", "file-damaged")],
)
def test_rle_of_other_segments_or_too_little(image, save, refused, segments, body, code):
    ds = image(PixelData=encapsulate([struct.pack("<16L", segments, 64, *[0] * 14) + body]))
    assert refused(save(ds, transfer_syntax=RLELossless).read_bytes()).code == code


def nested(depth: int, tag: int) -> bytes:
    """Sequences of open length, one in another, and never closed."""
    opening = element(tag, b"SQ", b"", UNDEFINED) + struct.pack("<HHL", 0xFFFE, 0xE000, UNDEFINED)
    return opening * depth


@pytest.mark.parametrize("tag", [0x00081115, 0x00186011])
@pytest.mark.parametrize("depth", [100, 5000, 200_000])
def test_nested_sequences_of_open_length(parts, refused, tag, depth):
    meta, dataset = parts()
    assert refused(meta + nested(depth, tag) + dataset).code == "file-damaged"


def test_nested_sequences_of_known_length(parts, refused):
    """The walk steps over them; pydicom would end its stack inside the regions."""
    inner = b""
    for _ in range(5000):
        item = struct.pack("<HHL", 0xFFFE, 0xE000, len(inner)) + inner
        inner = element(0x00186011, b"SQ", item)
    meta, dataset = parts()
    start = dataset.index(struct.pack("<HH", 0x18, 0x6011))
    (length,) = struct.unpack("<L", dataset[start + 8 : start + 12])
    changed = dataset[:start] + inner + dataset[start + 12 + length :]
    assert refused(meta + changed).code in ("file-damaged", "no-spatial-region")


def test_regions_of_open_length_nested_in_known_ones(parts, refused):
    item_bytes = nested(5000, 0x00081115)
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(item_bytes)) + item_bytes
    meta, dataset = parts()
    start = dataset.index(struct.pack("<HH", 0x18, 0x6011))
    (length,) = struct.unpack("<L", dataset[start + 8 : start + 12])
    regions = element(0x00186011, b"SQ", item)
    changed = dataset[:start] + regions + dataset[start + 12 + length :]
    assert refused(meta + changed).code == "file-damaged"


def test_header_of_a_million_elements(parts, refused):
    meta, dataset = parts()
    assert refused(meta + element(0x00090010, b"LO", b"") * 1_000_000 + dataset).code == "too-large"


@pytest.mark.parametrize("frames", [2_000_000_000, 100_001])
def test_frames_beyond_all_bounds(image, save, refused, frames):
    assert refused(save(image(NumberOfFrames=frames)).read_bytes()).code == "too-large"


def test_more_frames_than_pixels(image, save):
    path = save(image(NumberOfFrames=3))
    assert read(path, 0).frames == 3
    with pytest.raises(errors.FileDamaged):
        read(path, 1)


@pytest.mark.parametrize("vr", [b"ZZ", b"??", b"\0\0", b"us"])
def test_tag_of_unknown_type(parts, refused, vr):
    meta, dataset = parts()
    first = element(0x00080005, b"CS", b"ISO_IR 100")
    refusal = refused(meta + first + element(0x00090010, vr, b"xx") + dataset)
    assert refusal.code == "file-damaged"
    assert "(0009,0010) is of an unknown type" in str(refusal)


@pytest.mark.parametrize(("vr", "length"), [(b"UN", 0xFFFFFFF0), (b"LO", 0xFFFE), (b"OB", 70_000)])
def test_length_past_the_end(parts, refused, vr, length):
    meta, dataset = parts()
    refusal = refused(meta + element(0x00090010, vr, b"", length) + dataset)
    assert refusal.code == "file-damaged"
    assert "(0009,0010) reaches past the end" in str(refusal)


def test_every_truncation_ends_with_a_name(parts, refused):
    meta, dataset = parts()
    data = meta + dataset
    for length in range(0, len(data), 61):
        code = refused(data[:length]).code
        assert code in ("file-empty", "not-an-image", "file-damaged", "no-pixel-data") or (
            code == "unsupported-transfer-syntax" and length < len(meta)
        )


def test_no_pixels(image, save, refused):
    ds = image()
    del ds.PixelData
    assert refused(save(ds).read_bytes()).code == "no-pixel-data"


@pytest.mark.parametrize("missing", ["Rows", "Columns", "BitsAllocated"])
def test_missing_description_of_the_pixels(image, save, refused, missing):
    ds = image()
    ds["PixelData"].VR = "OB"
    delattr(ds, missing)
    refusal = refused(save(ds).read_bytes())
    assert refusal.code == "file-damaged"
    assert missing in str(refusal)


def test_jpeg_of_another_size_than_the_tags(image, save, refused):
    buffer = io.BytesIO()
    Image.new("L", (80, 61)).save(buffer, "JPEG")
    path = save(image(PixelData=encapsulate([buffer.getvalue()])), transfer_syntax=JPEGBaseline8Bit)
    refusal = refused(path.read_bytes())
    assert refusal.code == "size-conflict"
    assert "80x61 against 80x60 pixels" in str(refusal)


@pytest.mark.parametrize(
    "pixels",
    [
        b"",
        b"\0" * 40,
        encapsulate([b"\xff\xd8\xff\xd9"]),
        encapsulate([b"\xff\xd8\xff\xc0\0\x02\xff\xd9"]),
        encapsulate([b"\0" * 600]),
        struct.pack("<HHLL", 0xFFFE, 0xE000, 4, 999_999),  # an offset table that leads out
        struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFF0),
        struct.pack("<HHLHHL", 0xFFFE, 0xE000, 0, 0xFFFE, 0xE000, UNDEFINED),
        struct.pack("<HHLHHL", 0xFFFE, 0xE000, 0, 0x0008, 0x0005, 0),
    ],
)
def test_broken_encapsulation(image, save, refused, pixels):
    sound = image(PixelData=encapsulate([b"\xff\xd8"]))
    data = save(sound, transfer_syntax=JPEGBaseline8Bit).read_bytes()
    head = data[: data.index(struct.pack("<HH", 0x7FE0, 0x0010))]
    assert refused(head + element(0x7FE00010, b"OB", pixels, UNDEFINED)).code == "file-damaged"


def test_sparse_file_of_many_gigabytes(tmp_path):
    path = tmp_path / "sparse.dcm"
    path.touch()
    os.truncate(path, 5 * 1024**3)
    with pytest.raises(errors.TooLarge):
        read(path)


@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_writers_that_use_the_other_vr_encoding(image, region, save, ramp, transfer_syntax):
    """Seen in the wild, and harmless: pydicom and the walk both notice."""
    other = {
        ExplicitVRLittleEndian: ImplicitVRLittleEndian,
        ImplicitVRLittleEndian: ExplicitVRLittleEndian,
    }[transfer_syntax]
    data = save(image(region()), transfer_syntax=transfer_syntax).read_bytes()
    old = transfer_syntax.encode().ljust(len(transfer_syntax) + len(transfer_syntax) % 2, b"\0")
    new = other.encode().ljust(len(other) + len(other) % 2, b"\0")
    start = data.index(old)
    changed = data[: start - 2] + struct.pack("<H", len(new)) + new + data[start + len(old) :]
    path = Path(save(image(), "other.dcm"))
    path.write_bytes(changed)
    assert np.array_equal(read(path).pixels, ramp)


def test_explicit_sequences_of_open_length_with_implicit_items(image, region, save, ramp):
    """Private sequences of unknown type hold implicit elements (PS3.5 6.2.2)."""
    ds = image(region())
    data = save(ds).read_bytes()
    start = data.index(struct.pack("<HH", 0x18, 0x6011))
    item = struct.pack("<HHL", 0x0009, 0x0010, 2) + b"hi"
    hidden = (
        element(0x00091001, b"UN", b"", UNDEFINED)
        + struct.pack("<HHL", 0xFFFE, 0xE000, UNDEFINED)
        + item
        + struct.pack("<HHL", 0xFFFE, 0xE00D, 0)
        + struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    )
    path = save(ds, "private.dcm")
    path.write_bytes(data[:start] + hidden + data[start:])
    scan = read(path)
    assert np.array_equal(scan.pixels, ramp)
    assert scan.regions[0].index == 0


class TestRoots:
    @pytest.fixture
    def tree(self, image, save, tmp_path) -> Path:
        for folder in ("root/deep", "outside"):
            (tmp_path / folder).mkdir(parents=True)
        save(image(), "root/deep/image.dcm")
        save(image(), "outside/image.dcm")
        return tmp_path

    def test_inside_is_read_through_links_and_dots(self, tree, ramp):
        (tree / "root/link.dcm").symlink_to("deep/image.dcm")
        (tree / "root/folder").symlink_to("deep")
        (tree / "alias").symlink_to("root")
        for path in (
            "root/deep/image.dcm",
            "root/deep/../deep/image.dcm",
            "root/link.dcm",
            "root/folder/image.dcm",
            "alias/deep/image.dcm",
        ):
            for root in ("root", "alias"):
                assert np.array_equal(read(tree / path, roots=[tree / root]).pixels, ramp)

    def test_outside_is_not_opened(self, tree):
        (tree / "root/link.dcm").symlink_to("../outside/image.dcm")
        (tree / "root/folder").symlink_to("../outside")
        for path in (
            "outside/image.dcm",
            "root/../outside/image.dcm",
            "root/link.dcm",
            "root/folder/image.dcm",
            "root/../root-beside/image.dcm",
        ):
            (tree / "root-beside").mkdir(exist_ok=True)
            (tree / "root-beside/image.dcm").touch()
            with pytest.raises(errors.OutsideRoots):
                read(tree / path, roots=[tree / "root"])
            with pytest.raises(errors.OutsideRoots):
                resolve_inside(tree / path, [tree / "root"])

    def test_any_of_several_roots_will_do(self, tree):
        roots = [tree / "root", tree / "outside"]
        for path in ("root/deep/image.dcm", "outside/image.dcm"):
            assert read(tree / path, roots=roots).frames == 1
            assert resolve_inside(tree / path, roots) == (tree / path).resolve()

    def test_missing_and_odd_files_keep_their_names(self, tree):
        os.mkfifo(tree / "root/pipe")
        for path, error in {
            "root/missing.dcm": errors.FileMissing,
            "root/pipe": errors.NotAFile,
            "root/deep": errors.NotAFile,
            "root": errors.NotAFile,
        }.items():
            with pytest.raises(error):
                read(tree / path, roots=[tree / "root"])

    def test_a_loop_of_links_is_unreadable(self, tree):
        (tree / "root/loop").symlink_to("loop")
        for roots in ([], [tree / "root"]):
            with pytest.raises(errors.FileUnreadable):
                read(tree / "root/loop", roots=roots)
