"""Frames of cine loops and pages of TIFF files, by policy."""

from __future__ import annotations

import os
import struct

import pytest
from PIL import Image
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from worker import errors
from worker.reading import FramePolicy, frame_indices, read


@pytest.mark.parametrize(
    ("text", "frames", "indices"),
    [
        ("first", 7, [0]),
        ("middle", 7, [3]),
        ("middle", 8, [4]),
        ("middle", 1, [0]),
        ("every:3", 7, [0, 3, 6]),
        ("every:1", 3, [0, 1, 2]),
        ("every:100", 3, [0]),
        ("all", 4, [0, 1, 2, 3]),
    ],
)
def test_policies(text, frames, indices):
    assert FramePolicy.parse(text).indices(frames) == indices


@pytest.mark.parametrize(
    "text", ["", "last", "every", "every:", "every:0", "every:-1", "every:1.5"]
)
def test_other_words_are_refused_with_what_was_expected(text):
    with pytest.raises(ValueError, match=r"first, middle, every:N .* or all"):
        FramePolicy.parse(text)


ALL = FramePolicy.parse("all")


@pytest.mark.parametrize(
    "transfer_syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
    ],
)
def test_frames_of_a_cine_loop(image, region, save, transfer_syntax):
    path = save(image(region(), frames=5), transfer_syntax=transfer_syntax)
    assert frame_indices(path, ALL) == [0, 1, 2, 3, 4]
    assert frame_indices(path, FramePolicy.parse("first")) == [0]
    assert frame_indices(path, FramePolicy.parse("middle")) == [2]
    assert [read(path, n).pixels[0, 0] for n in range(5)] == [0, 1, 2, 3, 4]
    assert read(path, 2).frames == 5
    for frame in (-1, 5):
        with pytest.raises(errors.NoSuchFrame):
            read(path, frame)


def test_pages_of_a_tiff(tmp_path):
    path = tmp_path / "pages.tif"
    first, *rest = [Image.new("L", (8, 6 + n), n) for n in range(4)]
    first.save(path, save_all=True, append_images=rest)
    assert frame_indices(path, ALL) == [0, 1, 2, 3]
    assert [read(path, n).pixels.shape for n in range(4)] == [(6, 8), (7, 8), (8, 8), (9, 8)]
    with pytest.raises(errors.NoSuchFrame):
        read(path, 4)


@pytest.mark.parametrize("frames", [0, -3, 2_000_000_000])
def test_a_lie_about_frames_gets_one_row(image, save, frames):
    path = save(image(NumberOfFrames=frames))
    assert frame_indices(path, ALL) == [0]


def test_a_broken_or_missing_file_gets_one_row(tmp_path):
    (tmp_path / "empty.dcm").touch()
    (tmp_path / "text.dcm").write_text("hello")
    (tmp_path / "circle.tif").write_bytes(b"II*\0" + struct.pack("<LHL", 8, 0, 8))
    for name in ("empty.dcm", "text.dcm", "circle.tif", "missing.dcm"):
        assert frame_indices(tmp_path / name, ALL) == [0]
    with pytest.raises(errors.FileDamaged):
        read(tmp_path / "circle.tif")


def test_a_frame_takes_eight_bytes_of_the_file_at_least(image, save):
    size_bytes = save(image(NumberOfFrames=600)).stat().st_size
    most = size_bytes // 8
    assert frame_indices(save(image(NumberOfFrames=most)), ALL) == list(range(most))
    assert frame_indices(save(image(NumberOfFrames=most + 1)), ALL) == [0]


@pytest.mark.parametrize(("frames", "count"), [(100_000, 100_000), (100_001, 1)])
def test_a_file_has_a_hundred_thousand_frames_at_most(image, save, frames, count):
    path = save(image(NumberOfFrames=frames))
    os.truncate(path, 900_000)
    assert len(frame_indices(path, ALL)) == count
