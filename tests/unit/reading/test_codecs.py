"""Each codec's own word against the tags: size, samples, depth, sign, order of samples."""

from __future__ import annotations

import io
from collections.abc import Callable

import jpeg_ls
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from worker import errors
from worker.reading import codecs
from worker.reading.codecs import codec_for
from worker.reading.pixel_module import Decoded, PixelLayout

JPEG, JPEG_LOSSLESS = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.57"
JPEG_LS, JPEG_2000 = "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"
RLE = "1.2.840.10008.1.2.5"
ROWS, COLUMNS = 6, 10
GREY = (np.arange(ROWS * COLUMNS, dtype=np.uint16) * 4 + 3).astype(np.uint8).reshape(ROWS, COLUMNS)
RGB = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)
PRECISION_OF_JPEG = b"\xff\xc0\x00\x0b"
DEPTH_AT = 42
"""Where a JPEG 2000 codestream keeps the depth and sign of its first component."""


def layout(samples: int = 1, bits: int = 8, colours: str = "", **changes: object) -> PixelLayout:
    allocated = 8 if bits <= 8 else 16
    tags: dict[str, object] = {
        "rows": ROWS,
        "columns": COLUMNS,
        "frames": 1,
        "samples_per_pixel": samples,
        "bits_allocated": allocated,
        "bits_stored": bits,
        "high_bit": bits - 1,
        "is_signed": False,
        "planar_configuration": 0,
        "photometric_interpretation": colours or ("MONOCHROME2" if samples == 1 else "RGB"),
        "is_subsampled": False,
    }
    return PixelLayout(**tags | changes)  # type: ignore[arg-type]


def decoded(data: bytes, of: PixelLayout, transfer_syntax: str) -> Decoded:
    decode = codec_for(transfer_syntax).decode
    assert decode is not None
    return decode(data, of, transfer_syntax)


def pillow(words: NDArray[np.generic], form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(words).save(buffer, form, **options)
    return buffer.getvalue()


def jpeg(words: NDArray[np.uint8]) -> bytes:
    return pillow(words, "JPEG", quality=100)


def j2k(words: NDArray[np.generic]) -> bytes:
    return pillow(words, "JPEG2000", no_jp2=True, irreversible=False, mct=0)


def jls(words: NDArray[np.uint8]) -> bytes:
    return bytes(jpeg_ls.encode_array(words, interleave_mode=2 if words.ndim == 3 else None))


def lossless(words: NDArray[np.uint8]) -> bytes:
    """Only the beginning of one, which is all that is looked at before GDCM."""
    rows, columns, *samples = words.shape
    count = samples[0] if samples else 1
    size = bytes([8]) + rows.to_bytes(2, "big") + columns.to_bytes(2, "big") + bytes([count])
    body = size + b"".join(bytes([number, 0x11, 0]) for number in range(count))
    return b"\xff\xd8\xff\xc3" + (len(body) + 2).to_bytes(2, "big") + body + b"\xff\xd9"


CODECS = [(JPEG, jpeg), (JPEG_2000, j2k), (JPEG_LS, jls), (JPEG_LOSSLESS, lossless)]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rows": ROWS - 1}, "10x6 against 10x5 pixels"),
        ({"columns": COLUMNS - 1}, "10x6 against 9x6 pixels"),
        ({"rows": COLUMNS, "columns": ROWS}, "10x6 against 6x10 pixels"),
        ({"samples_per_pixel": 3}, "1 against 3 samples per pixel"),
    ],
)
@pytest.mark.parametrize(
    ("transfer_syntax", "encode"), CODECS, ids=["jpeg", "j2k", "jls", "lossless"]
)
def test_a_size_that_the_tags_contradict(
    transfer_syntax: str,
    encode: Callable[[NDArray[np.uint8]], bytes],
    changes: dict[str, object],
    told: str,
) -> None:
    if transfer_syntax == JPEG_LOSSLESS:
        pytest.importorskip("gdcm")
    with pytest.raises(errors.SizeConflict, match=told):
        decoded(encode(GREY), layout(**changes), transfer_syntax)
    if "samples_per_pixel" in changes:
        with pytest.raises(errors.SizeConflict, match="3 against 1 samples"):
            decoded(encode(RGB), layout(), transfer_syntax)


@pytest.mark.parametrize(
    ("samples", "bits", "segments"), [(1, 8, 2), (1, 16, 1), (3, 8, 1), (3, 8, 6), (1, 8, 0)]
)
def test_segments_that_the_tags_contradict(samples: int, bits: int, segments: int) -> None:
    header = np.array([segments, 64, *[0] * 14], "<u4").tobytes()
    with pytest.raises(errors.SizeConflict, match=f"{segments} RLE segments"):
        decoded(header + bytes(200), layout(samples, bits), RLE)


def of_depth(values: NDArray[np.signedinteger], bits: int, *, is_signed: bool) -> bytes:
    """A JPEG 2000 codestream of ``bits``, where Pillow writes 8 or 16 alone.

    What it codes are the values less the middle of their range, or themselves where they have a
    sign. So those of fewer bits, moved to the middle of 8 or 16, are coded as they would be, and
    only the depth that the header tells is to be changed.
    """
    whole = 8 if bits <= 8 else 16
    middle = 0 if is_signed else (1 << whole - 1) - (1 << bits - 1)
    words = (values + middle).astype(f"u{whole // 8}")
    data = bytearray(pillow(words, "JPEG2000", no_jp2=True, irreversible=False, signed=is_signed))
    assert data[DEPTH_AT] == whole - 1 + 0x80 * is_signed
    data[DEPTH_AT] += bits - whole
    return bytes(data)


@pytest.mark.parametrize("is_signed", [False, True])
@pytest.mark.parametrize("bits", range(5, 17))
def test_jpeg_2000_of_every_depth(bits: int, is_signed: bool) -> None:
    count = 1 << bits
    values = np.linspace(0, count - 1, ROWS * COLUMNS).astype(np.int32).reshape(ROWS, COLUMNS)
    values -= is_signed * count // 2
    data = of_depth(values, bits, is_signed=is_signed)
    found = decoded(data, layout(bits=bits, is_signed=is_signed), JPEG_2000)
    assert (found.bits, found.is_rgb, found.is_luma) == (bits, False, False)
    assert (found.words & (count - 1)).tolist() == (values & (count - 1)).tolist()


@pytest.mark.parametrize(
    ("stream", "stored", "is_signed", "bits"),
    [(12, 16, False, 12), (12, 10, False, 12), (16, 12, True, 12), (12, 16, True, 12)],
)
def test_how_many_bits_of_a_stream_count(
    stream: int, stored: int, is_signed: bool, bits: int
) -> None:
    values = GREY.astype(np.int32) - 128 * is_signed
    data = of_depth(values, stream, is_signed=is_signed)
    found = decoded(data, layout(bits=stored, is_signed=is_signed), JPEG_2000)
    assert found.bits == bits
    assert (found.words & 0xFF).tolist() == (values & 0xFF).tolist()


def with_depth(data: bytes, bits: int) -> bytes:
    changed = bytearray(data)
    changed[DEPTH_AT] = bits - 1
    return bytes(changed)


@pytest.mark.parametrize(("samples", "most"), [(1, 16), (3, 8)])
def test_jpeg_2000_of_too_many_bits(samples: int, most: int) -> None:
    words = GREY.astype(np.uint16) if samples == 1 else RGB
    assert decoded(j2k(words), layout(samples, most), JPEG_2000).bits == most
    with pytest.raises(errors.UnsupportedPixels, match=f"2000 image of {most + 1} bits"):
        decoded(with_depth(j2k(words), most + 1), layout(samples, most), JPEG_2000)


@pytest.mark.parametrize(
    ("colours", "is_rgb"), [("YBR_RCT", True), ("YBR_ICT", True), ("RGB", False)]
)
def test_jpeg_2000_undoes_its_own_change_of_colours(colours: str, is_rgb: bool) -> None:
    found = decoded(j2k(RGB), layout(3, colours=colours), JPEG_2000)
    assert found.is_rgb is is_rgb
    assert np.array_equal(found.words, RGB)


@pytest.mark.parametrize("bits", [7, 9, 12])
def test_jpeg_has_eight_bits(bits: int) -> None:
    data = jpeg(GREY)
    at = data.index(PRECISION_OF_JPEG) + len(PRECISION_OF_JPEG)
    assert data[at] == 8
    changed = data[:at] + bytes([bits]) + data[at + 1 :]
    with pytest.raises(errors.UnsupportedPixels, match=f"a JPEG image of {bits} bits"):
        decoded(changed, layout(bits=16), JPEG)


@pytest.mark.parametrize("colours", ["RGB", "YBR_FULL", "YBR_FULL_422"])
def test_of_a_jpeg_that_tells_its_colours_only_the_luma(colours: str) -> None:
    for options in ({"subsampling": 0}, {"keep_rgb": True}):
        data = pillow(RGB, "JPEG", quality=100, **options)
        found = decoded(data, layout(3, colours=colours), JPEG)
        assert (found.bits, found.is_luma, found.is_rgb) == (8, True, False)
        assert found.words.shape == (ROWS, COLUMNS)
    data = pillow(RGB, "JPEG", quality=100, subsampling=0)
    untold = data[:2] + data[4 + int.from_bytes(data[4:6], "big") :]  # without its JFIF segment
    found = decoded(untold, layout(3, colours="RGB"), JPEG)
    assert (found.bits, found.is_luma, found.words.shape) == (8, False, (ROWS, COLUMNS, 3))
    found = decoded(jpeg(GREY), layout(), JPEG)
    assert (found.bits, found.is_luma) == (8, False)
    assert np.abs(found.words.astype(int) - GREY).max() <= 1


@pytest.mark.parametrize("interleave", [0, 1, 2])
@pytest.mark.parametrize("bits", [8, 9, 16])
def test_jpeg_ls_in_every_order_of_samples(interleave: int, bits: int) -> None:
    words = RGB if bits == 8 else (RGB.astype("<u2") << (bits - 8) | 1)
    # By lines as by pixels, CharLS takes the samples of a pixel together; only planes are apart.
    ordered = np.moveaxis(words, -1, 0) if interleave == 0 else words
    raw = np.ascontiguousarray(ordered).tobytes()
    data = bytes(jpeg_ls.encode_buffer(raw, ROWS, COLUMNS, 3, bits, 0, interleave))
    found = decoded(data, layout(3, bits), JPEG_LS)
    assert found.bits == bits
    assert np.array_equal(found.words, words)


@pytest.mark.parametrize("bits", [2, 7, 8, 9, 15, 16])
def test_jpeg_ls_of_every_depth(bits: int) -> None:
    words = (GREY.astype(np.uint32) << 8 >> (16 - bits)).astype(np.uint8 if bits <= 8 else "<u2")
    data = bytes(jpeg_ls.encode_buffer(words.tobytes(), ROWS, COLUMNS, 1, bits, 0, 0))
    found = decoded(data, layout(bits=bits), JPEG_LS)
    assert found.bits == bits
    assert np.array_equal(found.words, words)


def test_jpeg_ls_without_an_end_is_not_searched_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs.jpeg_ls, "decode_pixel_data", lambda _: pytest.fail("decoded"))
    with pytest.raises(errors.FileDamaged, match="its JPEG-LS data"):
        decoded(jls(GREY).replace(b"\xff\xd9", b""), layout(), JPEG_LS)


def test_a_decoder_that_no_extra_has_brought(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(codecs, "find_spec", asked.append)
    with pytest.raises(errors.DecoderMissing):
        codec_for(JPEG_LOSSLESS)
    assert asked == ["gdcm"]
    assert codec_for(JPEG).decode is not None


@pytest.mark.parametrize(
    ("words", "samples"), [(GREY, 3), (RGB, 1), (GREY[1:], 1), (GREY[:, 1:], 1), (RGB[1:], 3)]
)
def test_an_image_of_another_form_than_the_tags(words: NDArray[np.uint8], samples: int) -> None:
    image = Image.fromarray(words)
    with pytest.raises(errors.UnsupportedPixels, match=f"of kind {image.mode}"):
        codecs._array(image, layout(samples), samples)


@pytest.mark.parametrize("kind", ["I", "F", "1"])
def test_an_image_of_other_words(kind: str) -> None:
    with pytest.raises(errors.UnsupportedPixels, match=f"of kind {kind}"):
        codecs._array(Image.fromarray(GREY).convert(kind), layout(), 1)


@pytest.mark.parametrize(("form", "kind"), [("JPEG", "JPEG2000"), ("JPEG2000", "JPEG")])
def test_only_the_codec_of_the_transfer_syntax_decodes(form: str, kind: str) -> None:
    assert codecs._open(pillow(GREY, form), form).size == (COLUMNS, ROWS)
    with pytest.raises(errors.FileDamaged, match=f"its {kind} data"):
        codecs._open(pillow(GREY, form), kind)
