"""Files drawn at random, by seed: whatever their tags leave open or get wrong, the right grey."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import jpeg_ls
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
)

from hcmodel.flags import Flag
from hcmodel.geometry import Spacing
from worker import errors
from worker.reading import FileFormat, FramePolicy, Skip, classify, frame_indices, read
from worker.reading.inspect import inspect

SEEDS = range(60)
SYNTAXES = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
Save = Callable[..., Path]
Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Draw:
    """What chance decides: an image like those of ultrasound, and everything else by ``pick``."""

    pick: random.Random
    grey: Grey

    @classmethod
    def of(cls, seed: int) -> Draw:
        pick, rng = random.Random(seed), np.random.default_rng(seed)
        rows, columns = pick.randrange(40, 90), pick.randrange(40, 90)
        speckle = cv2.GaussianBlur(rng.normal(0, 1, (rows, columns)), (0, 0), 2.0)
        speckle -= speckle.min()
        grey = (speckle * 255 / speckle.max()).astype(np.uint8)
        grey[: rows // 6] = 0  # the dark beside the sector
        return cls(pick, grey)


def big_endian(words: NDArray[np.generic]) -> bytes:
    return words.astype(words.dtype.newbyteorder(">")).tobytes()


def pixel_data(ds: Dataset, words: NDArray[np.generic], transfer_syntax: str) -> None:
    raw = words.tobytes() if transfer_syntax != ExplicitVRBigEndian else big_endian(words)
    ds.PixelData = raw + b"\0" * (len(raw) % 2)
    ds["PixelData"].VR = "OW" if words.dtype.itemsize == 2 else "OB"


def sized(image: Callable[..., Dataset], grey: Grey, **changes: object) -> Dataset:
    ds = image(**changes)
    ds.Rows, ds.Columns = grey.shape
    return ds


@pytest.mark.parametrize("seed", SEEDS)
def test_values_that_need_fewer_bits_than_their_words(image, save: Save, seed: int) -> None:
    draw = Draw.of(seed)
    held = draw.pick.choice((8, 10, 12, 16))
    stored = draw.pick.choice([bits for bits in (8, 10, 12, 14, 16) if bits >= held])
    if held == 16:
        stored = 16
    is_signed, is_inverted = draw.pick.random() < 0.4, draw.pick.random() < 0.3
    grey = 255 - draw.grey if is_inverted else draw.grey
    values = grey.astype(np.int32) << (held - 8)
    values |= draw.pick.randrange(1 << (held - 8))
    if is_signed and (stored == held or draw.pick.random() < 0.5):
        values -= 1 << (held - 1)
    ds = sized(image, grey, BitsAllocated=16, BitsStored=stored, HighBit=stored - 1)
    ds.PixelRepresentation = int(is_signed)
    ds.PhotometricInterpretation = "MONOCHROME1" if is_inverted else "MONOCHROME2"
    transfer_syntax = draw.pick.choice(SYNTAXES)
    pixel_data(ds, values.astype(np.uint16) & ((1 << stored) - 1), transfer_syntax)
    scan = read(save(ds, transfer_syntax=transfer_syntax))
    assert np.array_equal(scan.pixels, draw.grey)
    assert scan.flags == ()


@pytest.mark.parametrize("seed", SEEDS)
def test_bits_beside_the_stored_ones(image, save: Save, seed: int) -> None:
    """An overlay is none of the image; an image that goes on above what is said to be stored is."""
    draw = Draw.of(seed)
    stored = draw.pick.choice((8, 10, 12))
    deeper = draw.pick.choice([bits for bits in (10, 12, 16) if bits > stored])
    form = draw.pick.choice(("overlay", "deeper", "lower"))
    words = draw.grey.astype(np.uint16)
    high_bit = stored - 1
    if form == "overlay":
        words <<= stored - 8
        words[draw.pick.randrange(20, 30) :, draw.pick.randrange(30) :] |= 0x8000
    elif form == "deeper":
        words = words << (deeper - 8)
    else:
        stored, high_bit = 8, 15
    ds = sized(image, draw.grey, BitsAllocated=16, BitsStored=stored, HighBit=high_bit)
    transfer_syntax = draw.pick.choice(SYNTAXES)
    pixel_data(ds, words.astype(np.uint16), transfer_syntax)
    assert np.array_equal(read(save(ds, transfer_syntax=transfer_syntax)).pixels, draw.grey)


@pytest.mark.parametrize("seed", SEEDS)
def test_planes_are_told_by_the_pixels(image, save: Save, seed: int) -> None:
    draw = Draw.of(seed)
    colours = draw.pick.choice(("RGB", "YBR_FULL"))
    chroma = np.full_like(draw.grey, 128)
    if draw.pick.random() < 0.4:
        chroma += np.roll(draw.grey, 5, axis=1) // 3
    others = chroma if colours == "YBR_FULL" else draw.grey
    words = np.dstack([draw.grey, others, others]).astype(np.uint8)
    is_by_plane, told = draw.pick.random() < 0.5, draw.pick.randrange(2)
    ds = sized(image, draw.grey, SamplesPerPixel=3, PlanarConfiguration=told)
    ds.PhotometricInterpretation = colours
    transfer_syntax = draw.pick.choice(SYNTAXES)
    stored = np.ascontiguousarray(np.moveaxis(words, -1, 0) if is_by_plane else words)
    pixel_data(ds, stored, transfer_syntax)
    assert np.array_equal(read(save(ds, transfer_syntax=transfer_syntax)).pixels, draw.grey)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_length_of_pixel_data_is_explained_or_refused(image, save: Save, seed: int) -> None:
    draw = Draw.of(seed)
    frames = draw.pick.choice((1, 1, 2, 3))
    raw = draw.grey.tobytes() * frames
    padding = len(raw) % 2
    extra = draw.pick.choice(
        ("none", "row", "rows", "rubbish", "again", "thrice", "cut", "nothing")
    )
    more = {
        "none": b"",
        "row": bytes(draw.grey.shape[1] // 2 * 2),
        "rows": bytes(4 * draw.grey.shape[1]),
        "rubbish": b"\1\2\3\4",
        "again": draw.grey.tobytes() * 2,
        "thrice": raw * 2,
    }.get(extra, b"")
    data = {"cut": raw[: len(raw) - draw.grey.size // 2 & ~1], "nothing": b""}.get(
        extra, raw + more
    )
    ds = sized(image, draw.grey, frames=frames, PixelData=data + b"\0" * (len(data) % 2))
    path = save(ds)
    code = inspect(path, manual=Spacing(0.2, 0.2))[0]["code"]
    allowed = extra == "none" or (extra == "row" and len(more) + padding <= draw.grey.shape[1])
    if allowed:
        for frame in range(frames):
            assert np.array_equal(read(path, frame).pixels, draw.grey)
        return
    expected = {"cut": "file-damaged", "nothing": "no-pixel-data"}.get(extra, "size-conflict")
    assert code == expected
    with pytest.raises(errors.ScanRejected) as refusal:
        read(path)
    assert refusal.value.code == expected
    if extra == "thrice":
        assert str(3 * len(raw) + 3 * len(raw) % 2) in str(refusal.value)


@pytest.mark.parametrize("seed", SEEDS)
def test_three_bytes_a_pixel_where_the_tag_says_two(image, save: Save, seed: int) -> None:
    draw = Draw.of(seed)
    grey = draw.grey[:, : draw.grey.shape[1] // 2 * 2]
    form = draw.pick.choice(("422", "rgb", "ybr", "rgb by plane"))
    chroma = np.full_like(grey, 128)
    words = np.dstack([grey] * 3 if "rgb" in form else [grey, chroma, chroma])
    if form == "422":
        pairs = np.full((grey.shape[0], grey.shape[1] // 2, 4), 128, np.uint8)
        pairs[..., :2] = grey.reshape(*pairs.shape[:2], 2)
        words = pairs
    elif form == "rgb by plane":
        words = np.moveaxis(words, -1, 0)
    ds = sized(image, grey, SamplesPerPixel=3, PlanarConfiguration=0)
    ds.PhotometricInterpretation = "YBR_FULL_422"
    ds.PixelData = np.ascontiguousarray(words).tobytes()
    assert np.array_equal(read(save(ds)).pixels, grey)
    noise = np.random.default_rng(seed).integers(0, 256, (*grey.shape, 3), np.uint8)
    ds.PixelData = noise.tobytes()
    with pytest.raises(errors.SizeConflict, match="YBR_FULL_422"):
        read(save(ds))


def jpeg_lossless(native: Path) -> bytes:
    """The bare stream, which GDCM alone writes."""
    import gdcm

    reader, writer = gdcm.ImageReader(), gdcm.ImageWriter()
    change = gdcm.ImageChangeTransferSyntax()
    reader.SetFileName(str(native))
    assert reader.Read()
    kind = gdcm.TransferSyntax.GetTSType(str(JPEGLosslessSV1))
    change.SetTransferSyntax(gdcm.TransferSyntax(kind))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(native.with_name("lossless.dcm")))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return next(generate_frames(dcmread(native.with_name("lossless.dcm")).PixelData))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_precision_of_a_compressed_image_is_its_own(image, save: Save, seed: int) -> None:
    draw = Draw.of(seed)
    stored = draw.pick.choice((8, 10, 12, 16))
    codec = draw.pick.choice(("j2k", "jls", "jpeg"))
    precision = draw.pick.choice({"j2k": (8, 16), "jls": (8, 10, 12, 16), "jpeg": (8,)}[codec])
    grey = np.ascontiguousarray(draw.grey[:, : draw.grey.shape[1] // 2 * 2])
    words: NDArray[np.generic] = grey
    if precision > 8:
        words = grey.astype(np.uint16) << (precision - 8)
    if codec == "j2k":
        transfer_syntax, buffer = JPEG2000Lossless, io.BytesIO()
        Image.fromarray(words).save(buffer, "JPEG2000", no_jp2=True, irreversible=False)
        stream = buffer.getvalue()
    elif codec == "jls":
        transfer_syntax = JPEGLSLossless
        rows, columns = grey.shape
        stream = bytes(jpeg_ls.encode_buffer(words.tobytes(), rows, columns, 1, precision, 0, 0))
    else:
        pytest.importorskip("gdcm")
        plain = sized(image, grey, PixelData=grey.tobytes())
        transfer_syntax, stream = JPEGLosslessSV1, jpeg_lossless(save(plain, "plain.dcm"))
    ds = sized(image, grey, BitsAllocated=8 if stored == 8 else 16, BitsStored=stored)
    ds.HighBit = stored - 1
    ds.PixelData = encapsulate([stream])
    assert np.array_equal(read(save(ds, transfer_syntax=transfer_syntax)).pixels, grey)
    ds.PixelData = encapsulate([stream, stream])
    with pytest.raises(errors.SizeConflict, match="2 images .* explain 1"):
        read(save(ds, transfer_syntax=transfer_syntax))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_window_shows_something_or_is_told(image, save: Save, seed: int) -> None:
    draw = Draw.of(seed)
    is_deep = draw.pick.random() < 0.5
    values = draw.grey.astype(np.uint16) << 4 if is_deep else draw.grey
    top = 4095 if is_deep else 255
    width = draw.pick.choice((1, 2, top / 100, top / 2, top + 1))
    center = draw.pick.choice((-top, 0, top / 2, 3 * top))
    bits = {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11} if is_deep else {}
    ds = sized(image, draw.grey, WindowCenter=center, WindowWidth=width, **bits)
    pixel_data(ds, values, ExplicitVRLittleEndian)
    scan = read(save(ds))
    if scan.flags:
        assert scan.flags == (Flag.WINDOW_UNUSABLE,)
        assert np.array_equal(scan.pixels, draw.grey)
    else:
        assert len(np.unique(scan.pixels)) >= 16
    assert bool(scan.flags) == (width < top / 50 or abs(center - top / 2) > width)


@pytest.mark.parametrize("seed", SEEDS)
def test_palettes_of_every_vr(image, save: Save, seed: int) -> None:
    draw = Draw.of(seed)
    transfer_syntax = draw.pick.choice(SYNTAXES)
    order = np.random.default_rng(seed).permutation(256).astype(np.uint8)
    table = np.empty(256, np.uint16)
    table[order] = np.arange(256, dtype=np.uint16) << 8
    vr = draw.pick.choice(("OW", "US", "SS"))
    ds = sized(image, draw.grey, PhotometricInterpretation="PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        setattr(ds, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        keyword = f"{colour}PaletteColorLookupTableData"
        if vr == "OW":
            raw = big_endian(table) if transfer_syntax == ExplicitVRBigEndian else table.tobytes()
            ds.add_new(keyword, "OW", raw)
        else:
            numbers = table if vr == "US" else table.view(np.int16)
            ds.add_new(keyword, vr, numbers.tolist())
    pixel_data(ds, order[draw.grey], transfer_syntax)
    assert np.array_equal(read(save(ds, transfer_syntax=transfer_syntax)).pixels, draw.grey)


def element(tag: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


@pytest.mark.parametrize("seed", SEEDS)
def test_what_stands_before_the_dataset_may_be_missing(image, save: Save, seed: int) -> None:
    draw = Draw.of(seed)
    transfer_syntax = draw.pick.choice(SYNTAXES[:3])
    frames = draw.pick.choice((1, 3))
    ds = sized(image, draw.grey, frames=frames)
    pixel_data(ds, np.stack([draw.grey] * frames), transfer_syntax)
    if draw.pick.random() < 0.3:
        ds.SpecificCharacterSet = "ISO_IR 100"
    whole = save(ds, transfer_syntax=transfer_syntax).read_bytes()
    length = struct.unpack("<L", whole[140:144])[0]
    meta, dataset = whole[132 : 144 + length], whole[144 + length :]
    uid = transfer_syntax.encode()
    named = element(0x00020010, b"UI", uid + b"\0" * (len(uid) % 2))
    prefix = draw.pick.choice((bytes(128), draw.pick.randbytes(128))) + b"DICM"
    begin = draw.pick.choice(
        (
            b"",
            prefix,
            b"DICM",
            meta,
            b"DICM" + meta,
            prefix + meta,
            prefix + meta.replace(named, b""),
            prefix + meta.replace(uid, b" " * len(uid)),
        )
    )
    for name in ("file", "file.dcm"):
        path = save(ds).with_name(name)
        path.write_bytes(begin + dataset)
        assert classify(path) is FileFormat.DICOM
        assert frame_indices(path, FramePolicy.parse("all")) == list(range(frames))
        scan = read(path, frames - 1)
        assert np.array_equal(scan.pixels, draw.grey)
        assert scan.sop_instance_uid == ds.SOPInstanceUID


def test_other_files_are_not_taken_for_dicom(tmp_path: Path) -> None:
    pick = random.Random(7)
    for number in range(3000):
        head = pick.choice((b"\x08\0", b"\x02\0", b"\0\x08", b"")) + pick.randbytes(600)
        (tmp_path / "file").write_bytes(head)
        assert isinstance(classify(tmp_path / "file"), Skip), number


@pytest.mark.parametrize("seed", SEEDS)
def test_raster_images_of_16_bits(tmp_path: Path, seed: int) -> None:
    draw = Draw.of(seed)
    held, form = draw.pick.choice((8, 10, 12, 16)), draw.pick.choice(("png", "tif"))
    path = tmp_path / f"image.{form}"
    deep = draw.grey.astype(np.uint16) << (held - 8) | draw.pick.randrange(1 << (held - 8))
    Image.fromarray(deep.astype(np.uint16)).save(path)
    assert np.array_equal(read(path).pixels, draw.grey)
    assert cv2.imwrite(str(path), np.dstack([deep.astype(np.uint16)] * 3))
    if held == 16:
        assert np.array_equal(read(path).pixels, draw.grey)
    elif held == 8 or form == "png":
        with pytest.raises(errors.UnsupportedPixels, match="16 bits"):
            read(path)
