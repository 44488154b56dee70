"""Grey to the level, through every transfer syntax and every form of pixels."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field

import jpeg_ls
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.pixels import get_encoder
from pydicom.uid import (
    HEVCMP51,
    JPEG2000,
    MPEG2MPML,
    MPEG4HP41,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from worker import errors
from worker.reading import read

ROWS, COLUMNS = 60, 80
NATIVE = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}


def levels(seed: int = 0) -> NDArray[np.uint8]:
    """All levels 0 to 255, in a seeded disorder."""
    values = np.arange(ROWS * COLUMNS, dtype=np.uint32) % 256
    return np.random.default_rng(seed).permutation(values).astype(np.uint8).reshape(ROWS, COLUMNS)


def luma_of(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.rint(rgb @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)


GREY = levels()
RGB = np.stack([levels(1), levels(2), levels(3)], axis=-1)


@dataclass(frozen=True)
class Content:
    """An image as stored words, its tags, and the grey that it must become."""

    words: NDArray[np.integer]
    grey: NDArray[np.uint8]
    tags: dict[str, object] = field(default_factory=dict)
    atol: int = 0


def mono(words: NDArray[np.integer], stored: int, grey=GREY, **tags: object) -> Content:
    allocated = 8 * words.dtype.itemsize
    signed = words.dtype.kind == "i"
    depth = {"BitsAllocated": allocated, "BitsStored": stored, "HighBit": stored - 1}
    return Content(words, grey, {**depth, "PixelRepresentation": int(signed), **tags})


def colour(photometric: str, words: NDArray[np.uint8], grey: NDArray[np.uint8], **tags: object):
    tags = {
        "SamplesPerPixel": 3,
        "PlanarConfiguration": 0,
        "PhotometricInterpretation": photometric,
        **tags,
    }
    # Luma is rounded here and there; a level's half may fall either way.
    return Content(words, grey, tags, atol=1 if photometric == "RGB" else 0)


WIDE = GREY.astype(np.uint16)
FORMS = {
    "8 bits": mono(GREY, 8),
    "MONOCHROME1": mono(255 - GREY, 8, PhotometricInterpretation="MONOCHROME1"),
    "7 of 8 bits": mono(GREY >> 1, 7, grey=GREY >> 1 << 1),
    "10 of 16 bits": mono(WIDE << 2 | 3, 10),
    "12 of 16 bits": mono(WIDE << 4 | 9, 12),
    "16 bits": mono(WIDE << 8 | 77, 16),
    "16 bits, MONOCHROME1": mono(65535 - (WIDE << 8), 16, PhotometricInterpretation="MONOCHROME1"),
    "signed 8 bits": mono((GREY.astype(np.int16) - 128).astype(np.int8), 8),
    "signed 12 bits": mono((GREY.astype(np.int16) - 128) * 16 + 5, 12),
    "signed 16 bits": mono((GREY.astype(np.int32) * 256 - 32768).astype(np.int16), 16),
    "RGB": colour("RGB", RGB, luma_of(RGB)),
    "grey as RGB": colour("RGB", np.stack([GREY] * 3, axis=-1), GREY),
    "YBR_FULL": colour("YBR_FULL", np.stack([GREY, levels(4), levels(5)], axis=-1), GREY),
}


def native(ds, content: Content, transfer_syntax: str) -> None:
    words = content.words
    if transfer_syntax == ExplicitVRBigEndian and words.dtype.itemsize == 2:
        words = words.astype(words.dtype.newbyteorder(">"))
    if content.tags.get("PlanarConfiguration") == 1:
        words = np.moveaxis(words, -1, 0)
    ds.PixelData = words.tobytes() + b"\0" * (words.nbytes % 2)
    ds["PixelData"].VR = "OW" if words.dtype.itemsize == 2 else "OB"


def dataset(image, content: Content):
    ds = image(**content.tags)
    ds.Rows, ds.Columns = content.words.shape[:2]
    return ds


def check(scan, content: Content, decoder: str, atol: int | None = None) -> None:
    assert scan.decoder == decoder
    assert scan.pixels.dtype == np.uint8
    off = np.abs(scan.pixels.astype(int) - content.grey.astype(int)).max()
    assert off <= (content.atol if atol is None else atol)


@pytest.mark.parametrize("transfer_syntax", NATIVE.values(), ids=NATIVE)
@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS)
def test_native(image, save, content, transfer_syntax):
    ds = dataset(image, content)
    native(ds, content, transfer_syntax)
    check(read(save(ds, transfer_syntax=transfer_syntax)), content, "pydicom")


@pytest.mark.parametrize("transfer_syntax", NATIVE.values(), ids=NATIVE)
def test_native_colour_by_plane(image, save, transfer_syntax):
    content = colour("RGB", RGB, luma_of(RGB), PlanarConfiguration=1)
    ds = dataset(image, content)
    native(ds, content, transfer_syntax)
    check(read(save(ds, transfer_syntax=transfer_syntax)), content, "pydicom")


@pytest.mark.parametrize("transfer_syntax", NATIVE.values(), ids=NATIVE)
def test_native_ybr_422(image, save, transfer_syntax):
    colours = levels(6)
    packed = np.empty((ROWS, COLUMNS // 2, 4), np.uint8)
    packed[..., :2] = GREY.reshape(ROWS, -1, 2)
    packed[..., 2:] = colours.reshape(ROWS, -1, 2)
    content = Content(packed, GREY, colour("YBR_FULL_422", RGB, GREY).tags)
    ds = image(**content.tags)
    ds.PixelData = packed.tobytes()
    check(read(save(ds, transfer_syntax=transfer_syntax)), content, "pydicom")


@pytest.mark.parametrize("vr", ["OB", "OW"])
def test_bytes_in_big_endian_words(image, save, vr):
    """8-bit frames of odd length, two to a word: OW swaps them, OB does not."""
    frames = [levels(n)[:5, :7] for n in range(3)]
    raw = b"".join(frame.tobytes() for frame in frames) + b"\0"
    ds = image(frames=3, Rows=5, Columns=7)
    ds.PixelData = raw if vr == "OB" else np.frombuffer(raw, "<u2").astype(">u2").tobytes()
    ds["PixelData"].VR = vr
    path = save(ds, transfer_syntax=ExplicitVRBigEndian)
    for index, frame in enumerate(frames):
        assert np.array_equal(read(path, index).pixels, frame)


def test_bits_above_the_stored_ones_are_ignored(image, save):
    """Overlays once lived there."""
    words = WIDE << 4 | 0xF000
    ds = image(BitsAllocated=16, BitsStored=12, HighBit=11, PixelData=words.tobytes())
    assert np.array_equal(read(save(ds)).pixels, GREY)
    ds.HighBit, ds.PixelData = 15, (WIDE << 8 | 0xF).tobytes()
    assert np.array_equal(read(save(ds)).pixels, GREY)


def encode_rle(words: NDArray[np.integer], ds) -> bytes:
    """pydicom's encoder: the decoder's own library would hide an error that it makes both ways."""
    options = {
        "transfer_syntax_uid": RLELossless,
        "rows": ds.Rows,
        "columns": ds.Columns,
        "samples_per_pixel": ds.SamplesPerPixel,
        "bits_allocated": ds.BitsAllocated,
        "bits_stored": ds.BitsStored,
        "pixel_representation": ds.PixelRepresentation,
        "photometric_interpretation": ds.PhotometricInterpretation,
        "number_of_frames": 1,
    }
    if ds.SamplesPerPixel == 3:
        options["planar_configuration"] = 0
    encoder = get_encoder(RLELossless)
    return encoder.encode(words.tobytes(), encoding_plugin="pydicom", **options)


def rle(ds, content: Content) -> None:
    ds.PixelData = encapsulate([encode_rle(content.words, ds)])


def jls(ds, content: Content, lossy_error: int = 0) -> None:
    words = content.words
    unsigned = words.view(f"u{words.dtype.itemsize}")
    stored = ds.BitsStored
    unsigned = unsigned & unsigned.dtype.type((1 << stored) - 1)
    ds.PixelData = encapsulate(
        [
            bytes(
                jpeg_ls.encode_buffer(
                    unsigned.tobytes(),
                    ds.Rows,
                    ds.Columns,
                    ds.SamplesPerPixel,
                    stored,
                    lossy_error,
                    2 if ds.SamplesPerPixel == 3 else 0,
                )
            )
        ]
    )


def j2k(ds, content: Content, **options: object) -> None:
    """Pillow writes 8 bits, or 16 bits of grey, unsigned."""
    buffer = io.BytesIO()
    words = content.words
    Image.fromarray(words).save(buffer, "JPEG2000", no_jp2=True, **options)
    ds.PixelData = encapsulate([buffer.getvalue()])


def jpeg(ds, content: Content, **options: object) -> None:
    buffer = io.BytesIO()
    picture = options.pop("picture", None) or Image.fromarray(content.words)
    picture.save(buffer, "JPEG", quality=100, **{"subsampling": 0, **options})
    ds.PixelData = encapsulate([buffer.getvalue()])


@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS)
def test_run_lengths(image, save, content):
    ds = dataset(image, content)
    rle(ds, content)
    check(read(save(ds, transfer_syntax=RLELossless)), content, "pylibjpeg-rle")


@pytest.mark.parametrize("content", FORMS.values(), ids=FORMS)
def test_jpeg_ls(image, save, content):
    ds = dataset(image, content)
    jls(ds, content)
    check(read(save(ds, transfer_syntax=JPEGLSLossless)), content, "pyjpegls")


def test_jpeg_ls_near_lossless(image, save):
    content = FORMS["8 bits"]
    ds = dataset(image, content)
    jls(ds, content, lossy_error=2)
    check(read(save(ds, transfer_syntax=JPEGLSNearLossless)), content, "pyjpegls", atol=2)


J2K_FORMS = ["8 bits", "MONOCHROME1", "16 bits", "16 bits, MONOCHROME1"]


@pytest.mark.parametrize("form", J2K_FORMS)
@pytest.mark.parametrize("transfer_syntax", [JPEG2000Lossless, JPEG2000])
def test_jpeg_2000_grey(image, save, form, transfer_syntax):
    content = FORMS[form]
    ds = dataset(image, content)
    j2k(ds, content, irreversible=False)
    check(read(save(ds, transfer_syntax=transfer_syntax)), content, "pillow")


@pytest.mark.parametrize(("photometric", "mct"), [("YBR_RCT", 1), ("RGB", 0)])
def test_jpeg_2000_colour(image, save, photometric, mct):
    content = colour("RGB", RGB, luma_of(RGB), PhotometricInterpretation=photometric)
    ds = dataset(image, content)
    j2k(ds, content, irreversible=False, mct=mct)
    check(read(save(ds, transfer_syntax=JPEG2000Lossless)), content, "pillow", atol=1)


def test_jpeg_2000_ybr_full_without_a_transform(image, save):
    content = FORMS["YBR_FULL"]
    ds = dataset(image, content)
    j2k(ds, content, irreversible=False, mct=0)
    check(read(save(ds, transfer_syntax=JPEG2000Lossless)), content, "pillow")


def test_jpeg_2000_signed(image, save):
    """The codestream's own sign counts for its numbers, the tag for their meaning."""
    for content in (FORMS["signed 8 bits"], FORMS["signed 16 bits"]):
        ds = dataset(image, content)
        words = content.words.view(f"u{content.words.dtype.itemsize}")
        j2k(ds, Content(words, GREY), irreversible=False, signed=True)
        check(read(save(ds, transfer_syntax=JPEG2000Lossless)), content, "pillow")


SMOOTH = (np.add.outer(np.arange(ROWS), np.arange(COLUMNS)) * 1.8).astype(np.uint8)
SMOOTH_RGB = np.stack([SMOOTH, SMOOTH[::-1], 255 - SMOOTH], axis=-1)


@pytest.mark.parametrize("transfer_syntax", [JPEGBaseline8Bit, JPEGExtended12Bit])
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_jpeg_grey(image, save, transfer_syntax, photometric):
    words = SMOOTH if photometric == "MONOCHROME2" else 255 - SMOOTH
    content = mono(words, 8, grey=SMOOTH, PhotometricInterpretation=photometric)
    ds = dataset(image, content)
    jpeg(ds, content)
    check(read(save(ds, transfer_syntax=transfer_syntax)), content, "pillow", atol=2)


@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_FULL_422", "RGB"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_jpeg_luma_whatever_the_tags_call_the_colours(image, save, photometric, subsampling):
    """The stream says JFIF, so that it is YCbCr, also where a writer left RGB in the tag."""
    content = colour(photometric, SMOOTH_RGB, luma_of(SMOOTH_RGB))
    ds = dataset(image, content)
    jpeg(ds, content, subsampling=subsampling)
    check(read(save(ds, transfer_syntax=JPEGBaseline8Bit)), content, "pillow", atol=2)


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "RGB"])
def test_jpeg_that_holds_rgb(image, save, photometric):
    """Adobe's marker or the components' names say so."""
    content = colour(photometric, SMOOTH_RGB, luma_of(SMOOTH_RGB))
    ds = dataset(image, content)
    jpeg(ds, content, keep_rgb=True)
    check(read(save(ds, transfer_syntax=JPEGBaseline8Bit)), content, "pillow", atol=2)


def without_markers(data: bytes) -> bytes:
    """The same JPEG without its JFIF segment: nothing in it tells the colours."""
    assert data[2:4] == b"\xff\xe0"
    return data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]


@pytest.mark.parametrize(
    ("photometric", "grey"), [("RGB", luma_of(SMOOTH_RGB)), ("YBR_FULL", SMOOTH_RGB[..., 0])]
)
def test_jpeg_that_tells_nothing_is_what_the_tags_say(image, save, photometric, grey):
    content = colour(photometric, SMOOTH_RGB, grey)
    ds = dataset(image, content)
    buffer = io.BytesIO()
    Image.fromarray(SMOOTH_RGB, "YCbCr").save(buffer, "JPEG", quality=100, subsampling=0)
    ds.PixelData = encapsulate([without_markers(buffer.getvalue())])
    check(read(save(ds, transfer_syntax=JPEGBaseline8Bit)), content, "pillow", atol=2)


LOSSLESS_JPEG_FORMS = [name for name in FORMS if "7 of" not in name]


@pytest.mark.parametrize("form", LOSSLESS_JPEG_FORMS)
@pytest.mark.parametrize("transfer_syntax", [JPEGLossless, JPEGLosslessSV1])
def test_jpeg_lossless(image, save, region, form, transfer_syntax, tmp_path):
    gdcm = pytest.importorskip("gdcm", reason="JPEG lossless needs the jpeg-lossless extra")
    content = FORMS[form]
    ds = dataset(image, content)
    native(ds, content, ExplicitVRLittleEndian)
    # GDCM adds a region sequence to ultrasound that has none.
    ds.SequenceOfUltrasoundRegions = [region()]
    reader, writer = gdcm.ImageReader(), gdcm.ImageWriter()
    change = gdcm.ImageChangeTransferSyntax()
    reader.SetFileName(str(save(ds, "native.dcm")))
    assert reader.Read()
    kind = gdcm.TransferSyntax.GetTSType(str(transfer_syntax))
    change.SetTransferSyntax(gdcm.TransferSyntax(kind))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(tmp_path / "lossless.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    check(read(tmp_path / "lossless.dcm"), content, "python-gdcm")


def offset_table(frames: list[bytes], ds) -> bytes:
    return encapsulate(frames, has_bot=True)


def no_offset_table(frames: list[bytes], ds) -> bytes:
    return encapsulate(frames, has_bot=False)


def fragments(frames: list[bytes], ds) -> bytes:
    return encapsulate(frames, fragments_per_frame=3, has_bot=False)


def fragments_and_table(frames: list[bytes], ds) -> bytes:
    return encapsulate(frames, fragments_per_frame=3, has_bot=True)


def extended_table(frames: list[bytes], ds) -> bytes:
    data, ds.ExtendedOffsetTable, ds.ExtendedOffsetTableLengths = encapsulate_extended(frames)
    return data


@pytest.mark.parametrize(
    "pack", [offset_table, no_offset_table, fragments, fragments_and_table, extended_table]
)
def test_frames_are_found_by_every_kind_of_table(image, save, pack: Callable[..., bytes]):
    frames = [levels(n) for n in range(4)]
    ds = image(frames=4)
    ds.PixelData = pack([bytes(jpeg_ls.encode_array(frame)) for frame in frames], ds)
    path = save(ds, transfer_syntax=JPEGLSLossless)
    for index in (3, 0, 2, 1):
        assert np.array_equal(read(path, index).pixels, frames[index])


@pytest.mark.parametrize(
    ("transfer_syntax", "name"),
    [
        (MPEG2MPML, "MPEG-2"),
        (MPEG4HP41, "MPEG-4"),
        (HEVCMP51, "HEVC"),
        ("1.2.840.10008.1.2.4.110", "JPEG XL"),
        (HTJ2KLossless, "High-Throughput JPEG 2000"),
        ("1.2.840.113619.5.2", "Export"),
    ],
)
def test_other_transfer_syntaxes_are_refused_by_name(image, save, transfer_syntax, name):
    ds = image(PixelData=encapsulate([b"\0" * 100]))
    ds["PixelData"].VR = "OB"
    path = save(ds)
    data = path.read_bytes()
    old, new = ExplicitVRLittleEndian.encode(), transfer_syntax.encode()
    meta = data.index(old)
    length = len(new) + len(new) % 2
    changed = data[: meta - 2] + length.to_bytes(2, "little") + new.ljust(length, b"\0")
    path.write_bytes(changed + data[meta + len(old) + len(old) % 2 :])
    with pytest.raises(errors.UnsupportedTransferSyntax, match=f"read here.*{name}"):
        read(path)


@pytest.mark.parametrize(
    ("center", "width", "function", "stored", "grey"),
    [
        (128, 256, None, 8, GREY),  # the identity
        (64, 128, "LINEAR", 8, lambda g: np.clip((g - 63.5) / 127 + 0.5, 0, 1) * 255),
        (64, 128, "LINEAR_EXACT", 8, lambda g: np.clip((g - 64) / 128 + 0.5, 0, 1) * 255),
        (128, 100, "SIGMOID", 8, lambda g: 255 / (1 + np.exp(-4 * (g - 128.0) / 100))),
        (2048, 4096, None, 12, GREY),
        (32768, 65536, None, 16, GREY),
        (128, 0, None, 8, GREY),  # no window at all
    ],
)
def test_window(image, save, center, width, function, stored, grey):
    words = GREY if stored == 8 else WIDE << (stored - 8)
    content = mono(words, stored, WindowCenter=center, WindowWidth=width)
    if function:
        content.tags["VOILUTFunction"] = function
    ds = dataset(image, content)
    native(ds, content, ExplicitVRLittleEndian)
    expected = grey(GREY.astype(float)) if callable(grey) else grey.astype(float)
    off = np.abs(read(save(ds)).pixels - expected)
    assert off.max() <= (1 if callable(grey) else 0)


def test_the_first_of_several_windows_counts(image, save):
    ds = image(WindowCenter=[128, 20], WindowWidth=[256, 10])
    assert np.array_equal(read(save(ds)).pixels.ravel(), np.frombuffer(ds.PixelData, np.uint8))


def test_rescale_comes_before_the_window(image, save, ramp):
    ds = image(RescaleSlope=2, RescaleIntercept=-100, WindowCenter=156, WindowWidth=512)
    off = read(save(ds)).pixels - np.clip((ramp * 2.0 - 100 - 155.5) / 511 + 0.5, 0, 1) * 255
    assert np.abs(off).max() <= 1


@pytest.mark.parametrize(("slope", "inverted"), [(3, False), (-1, True), (0, False)])
def test_rescale_alone_keeps_or_inverts(image, save, ramp, slope, inverted):
    ds = image(RescaleSlope=slope, RescaleIntercept=7)
    assert np.array_equal(read(save(ds)).pixels, 255 - ramp if inverted else ramp)


def test_window_of_monochrome1_is_inverted_after(image, save, ramp):
    ds = image(PhotometricInterpretation="MONOCHROME1", WindowCenter=64, WindowWidth=128)
    plain = image(WindowCenter=64, WindowWidth=128)
    assert np.array_equal(read(save(ds)).pixels, 255 - read(save(plain, "plain.dcm")).pixels)


@pytest.mark.parametrize(
    "changes",
    [
        {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31},
        {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0},
        {"BitsAllocated": 12, "BitsStored": 12, "HighBit": 11},
        {"BitsStored": 9},
        {"HighBit": 9},
        {"PhotometricInterpretation": "HSV"},
        {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 1},
        {"PhotometricInterpretation": "YBR_PARTIAL_422", "SamplesPerPixel": 3},
        {"PhotometricInterpretation": "CMYK", "SamplesPerPixel": 4},
    ],
)
def test_other_forms_of_pixels_are_refused_by_name(image, save, changes):
    with pytest.raises(errors.UnsupportedPixels):
        read(save(image(**changes)))


def test_floating_point_pixels_are_refused(image, save):
    ds = image(FloatPixelData=np.zeros(4800, np.float32).tobytes())
    del ds.PixelData
    with pytest.raises(errors.UnsupportedPixels):
        read(save(ds))
