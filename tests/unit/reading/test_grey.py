"""Grey levels by exact values: windows of the standard, rescale, inversion, luma."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydicom.dataset import Dataset

from worker.errors import UnsupportedTransferSyntax
from worker.reading.codecs import codec_for
from worker.reading.frames import FramePolicy, frame_count
from worker.reading.grey import Display, Window, is_lost, luma, read_display


@pytest.mark.parametrize(
    ("window", "shares"),
    [
        # PS3.3 C.11.2.1.2: (x - (c - 0.5)) / (w - 1) + 0.5
        (Window(100.5, 101, "LINEAR"), {50: 0.0, 75: 0.25, 100: 0.5, 150: 1.0}),
        (Window(10, 1, "LINEAR"), {9.4: 0.0, 9.5: 0.0, 9.6: 1.0, 10: 1.0}),
        (Window(10.5, 2, "LINEAR"), {9.5: 0.0, 10: 0.5, 10.5: 1.0}),
        (Window(100, 100, "LINEAR_EXACT"), {50: 0.0, 75: 0.25, 100: 0.5, 150: 1.0}),
        (Window(10, 1, "LINEAR_EXACT"), {9.5: 0.0, 10: 0.5, 10.5: 1.0}),
        (
            Window(100, 40, "SIGMOID"),
            {
                90: 1 / (1 + math.e),
                100: 0.5,
                110: math.e / (1 + math.e),
                1e9: 1 / (1 + math.exp(-50)),
                -1e9: 1 / (1 + math.exp(50)),
            },
        ),
    ],
    ids=repr,
)
def test_windows_of_the_standard(window: Window, shares: dict[float, float]) -> None:
    found = window.apply(np.array([*shares], dtype=np.float64))
    np.testing.assert_allclose(found, [*shares.values()], rtol=1e-9, atol=0)


def test_without_a_window_the_range_has_256_bins() -> None:
    plain = Display(1.0, 0.0, None, inverted=False)
    assert plain.levels(0, 255).tolist() == list(range(256))
    assert plain.levels(-128, 127).tolist() == list(range(256))
    assert plain.levels(0, 4095).tolist() == [value >> 4 for value in range(4096)]
    assert plain.levels(0, 3).tolist() == [0, 64, 128, 192]
    inverted = Display(1.0, 0.0, None, inverted=True)
    assert inverted.levels(0, 255).tolist() == list(range(255, -1, -1))
    falling = Display(-1.0, 3.0, None, inverted=False)
    assert falling.levels(0, 3).tolist() == [192, 128, 64, 0]
    flat = Display(0.5, 9.0, None, inverted=False)
    assert flat.levels(0, 3).tolist() == [0, 64, 128, 192]


def test_a_window_cuts_out_of_the_rescaled_values() -> None:
    """256 wide around 0: 128 + 2 x - 10."""
    shown = Display(2.0, -10.0, Window(0, 256, "LINEAR_EXACT"), inverted=False)
    assert shown.levels(0, 4).tolist() == [118, 120, 122, 124, 126]
    assert shown.levels(-200, -199).tolist() == [0, 0]
    assert shown.levels(199, 200).tolist() == [255, 255]
    inverted = Display(2.0, -10.0, Window(0, 256, "LINEAR_EXACT"), inverted=True)
    assert inverted.levels(0, 1).tolist() == [137, 135]


@pytest.mark.parametrize(
    ("tags", "window"),
    [
        ({"WindowCenter": 40, "WindowWidth": 80}, Window(40, 80, "LINEAR")),
        ({"WindowCenter": 40, "WindowWidth": 1}, Window(40, 1, "LINEAR")),
        ({"WindowCenter": 0, "WindowWidth": 80}, Window(0, 80, "LINEAR")),
        ({"WindowCenter": 40, "WindowWidth": 0.99}, None),
        ({"WindowCenter": 40}, None),
        ({"WindowWidth": 40}, None),
        (
            {"WindowCenter": 40, "WindowWidth": 0.99, "VOILUTFunction": "SIGMOID"},
            Window(40, 0.99, "SIGMOID"),
        ),
        (
            {"WindowCenter": 1, "WindowWidth": "0.000001", "VOILUTFunction": "LINEAR_EXACT"},
            Window(1, 1e-6, "LINEAR_EXACT"),
        ),
        (
            {"WindowCenter": 1, "WindowWidth": "0.00000095", "VOILUTFunction": "LINEAR_EXACT"},
            None,
        ),
    ],
)
def test_a_window_that_is_one(tags: dict[str, object], window: Window | None) -> None:
    header = Dataset()
    for keyword, value in tags.items():
        setattr(header, keyword, value)
    assert read_display(header, "MONOCHROME2") == Display(1.0, 0.0, window, inverted=False)


def test_rescale_and_inversion_as_the_file_says() -> None:
    header = Dataset()
    header.RescaleSlope, header.RescaleIntercept = 2.5, -7
    assert read_display(header, "MONOCHROME1") == Display(2.5, -7.0, None, inverted=True)
    header.RescaleSlope, header.RescaleIntercept = 0, 0
    assert read_display(header, "RGB") == Display(1.0, 0.0, None, inverted=False)


def grey_of(levels: int) -> np.ndarray:
    return np.tile(np.arange(levels, dtype=np.uint8), (2, 1))


@pytest.mark.parametrize(
    ("shown", "plain", "lost"), [(15, 32, True), (16, 32, False), (15, 31, False), (1, 256, True)]
)
def test_a_window_is_lost_below_sixteen_levels(shown: int, plain: int, lost: bool) -> None:
    assert is_lost(grey_of(shown), grey_of(plain)) is lost


def test_luma_is_that_of_itu_r_601() -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[9, 9, 9], [0] * 3, [255] * 3]])
    assert luma(colours.astype(np.uint8)).tolist() == [[76, 150, 29], [9, 0, 255]]


UID = "1.2.840.10008.1.2"


@pytest.mark.parametrize(
    ("suffix", "name"),
    [
        *(("", "pydicom"), (".1", "pydicom"), (".2", "pydicom"), (".1.99", "pydicom")),
        *((".4.50", "pillow"), (".4.51", "pillow"), (".4.90", "pillow"), (".4.91", "pillow")),
        *((".4.80", "pyjpegls"), (".4.81", "pyjpegls"), (".5", "pylibjpeg-rle")),
    ],
)
def test_each_transfer_syntax_has_its_decoder(suffix: str, name: str) -> None:
    codec = codec_for(UID + suffix)
    assert codec.name == name
    assert (codec.decode is None) == (name == "pydicom")
    assert codec.has_whole_fragments == (suffix == ".5")
    assert codec.module is None


@pytest.mark.parametrize("suffix", [".4.57", ".4.70"])
def test_lossless_jpeg_needs_an_extra(suffix: str) -> None:
    pytest.importorskip("gdcm")
    codec = codec_for(UID + suffix)
    assert (codec.name, codec.module, codec.has_whole_fragments) == ("python-gdcm", "gdcm", False)


@pytest.mark.parametrize(
    ("suffixes", "name"),
    [
        ((".4.100", ".4.100.1", ".4.101", ".4.101.1"), "MPEG-2"),
        ((".4.102", ".4.102.1", ".4.103", ".4.103.1"), "MPEG-4"),
        ((".4.104", ".4.104.1", ".4.105", ".4.105.1", ".4.106", ".4.106.1"), "MPEG-4"),
        ((".4.107", ".4.108"), "HEVC"),
        ((".4.110", ".4.111", ".4.112"), "JPEG XL"),
        ((".4.201",), "High-Throughput JPEG 2000"),
        ((".4.52", ".9"), ""),
    ],
)
def test_other_transfer_syntaxes_are_refused_by_name(suffixes: tuple[str, ...], name: str) -> None:
    for suffix in suffixes:
        with pytest.raises(UnsupportedTransferSyntax) as refusal:
            codec_for(UID + suffix)
        assert refusal.value.detail == name


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        *(("12", 12), ("+3", 3), (" 7 ", 7), ("9" * 12, 10**12 - 1), ("9" * 13, 0)),
        *(("", 0), ("-1", 0), ("1.0", 0), ("++1", 0), ("1_0", 0)),
    ],
)
def test_a_number_of_frames(text: str, frames: int) -> None:
    assert frame_count(text) == frames


def test_a_step_of_six_digits_at_most() -> None:
    assert FramePolicy.parse("every:007").indices(15) == [0, 7, 14]
    assert FramePolicy.parse("every:999999") == FramePolicy("every", 999_999)
    with pytest.raises(ValueError, match="every:N"):
        FramePolicy.parse("every:1000000")
