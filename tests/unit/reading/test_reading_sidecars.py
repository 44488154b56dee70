"""The JSON file beside an image: a size, somebody else's, or a refusal of that image alone."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from hcmodel.geometry import Spacing
from worker.errors import SidecarInvalid
from worker.reading import classify, read
from worker.reading.formats import FileFormat
from worker.reading.inspect import inspect
from worker.reading.sandbox.pool import ReaderPool
from worker.reading.sidecar import sidecar_of, without_sidecars

SECRET = "Planted^Name"
SUFFIXES = [suffix for member in FileFormat for suffix in member.suffixes]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    Image.new("L", (64, 48), 90).save(path)
    return path


@pytest.fixture(scope="module")
def readers() -> Iterator[ReaderPool]:
    with ReaderPool() as pool:
        yield pool


def test_sidecars_have_the_name_of_their_image() -> None:
    for suffix in SUFFIXES:
        assert sidecar_of(Path(f"a/b{suffix}")) == Path("a/b.json")
        assert sidecar_of(Path(f"a/b{suffix.upper()}")) == Path("a/b.json")
    assert sidecar_of(Path("a/1.2.840.5")) == Path("a/1.2.840.5.json")
    files = [Path("a.ima"), Path("a.json"), Path("b.json")]
    assert without_sidecars(files) == [Path("a.ima"), Path("b.json")]


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ('{"pixel_size_mm": 0.15}', Spacing(0.15, 0.15)),
        ('{"row_mm": 0.15, "column_mm": 0.2}', Spacing(0.15, 0.2)),
        ('{"pixel_size_mm": 0.1, "row_mm": 0.15}', Spacing(0.15, 0.1)),
        ('{"pixel_size_mm": "0.15", "by": "me"}', Spacing(0.15, 0.15)),
        ('{"pixel_size_mm": 0.15, "by": 1, "by": 2, "pixel_size_mm": 0.15}', Spacing(0.15, 0.15)),
        ('{"pixel_size_mm": 100, "row_mm": 0.001}', Spacing(0.001, 100)),
        ('{"pixel_size_mm": "0,15"}', Spacing(0.15, 0.15)),
        ('{"pixel_size_mm": 1.5e-1}', Spacing(0.15, 0.15)),
        ('{"rows": 540, "columns": 800, "size": 3, "patient": "x"}', None),
        ("[0.15]", None),
        ("{}", None),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_a_sidecar_says(picture, readers, text, size, encoding):
    picture.with_suffix(".json").write_text(text, encoding=encoding)
    assert read(picture).manual == size
    assert read(picture, manual=Spacing(1.0, 2.0)).manual == (size or Spacing(1.0, 2.0))
    (row,) = inspect(picture)
    assert row["row_mm"] == (size and size.row_mm)
    assert readers.read(picture).manual == size


BAD = [
    "",
    "{",
    SECRET,
    "[" * 60_000,
    '{"a":' * 30_000,
    '{"pixel_size_mm": ' + "1" * 400 + "}",
    '{"pixel_size_mm": ' + "1" * 5000 + "}",
    '{"pixel_size_mm": "' + "1" * 400 + '"}',
    '{"pixel_size_mm": "1_0"}',
    '{"pixel_size_mm": "' + SECRET + '"}',
    '{"pixel_size_mm": true}',
    '{"pixel_size_mm": NaN}',
    '{"pixel_size_mm": Infinity}',
    '{"pixel_size_mm": [0.1, 0.1]}',
    '{"pixel_size_mm": 0}',
    '{"pixel_size_mm": -0.1}',
    '{"pixel_size_mm": null, "row_mm": 0.1}',
    '{"row_mm": 0.1}',
    '{"row_mm": 0, "column_mm": 1}',
    '{"pixel_size_mm": 1e308}',
    '{"pixel_size_mm": 1e-320}',
    '{"pixel_size_mm": 150}',
    '{"pixel_size_mm": 0.1, "pixel_size_mm": 0.2}',
    '{"pixel_size_mm": 0.1, "row_mm": 0.2, "column_mm": 0.2}',
    '{"pixel_size": 0.15}',
    '{"Pixel size (mm)": 0.15}',
    '{"pixelSizeMm": 0.15}',
    '{"pixel_size_m": 0.15}',
    '{"PixelSpacing": [0.15, 0.15]}',
    '{"row-mm": 0.15, "col_mm": 0.1}',
    '{"rows_mm": 0.15, "columns_mm": 0.15}',
    '{"x": "' + "y" * 70_000 + '"}',
]


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_a_bad_sidecar_refuses_its_image_by_name_and_quotes_nothing(picture, text):
    picture.with_suffix(".json").write_text(text)
    with pytest.raises(SidecarInvalid) as refusal:
        read(picture)
    assert SECRET not in str(refusal.value)
    assert len(str(refusal.value)) < 300
    assert inspect(picture)[0]["code"] == "sidecar-invalid"
    assert classify(picture) is FileFormat.PNG


def test_bytes_at_random_are_a_size_or_a_refusal(picture):
    rng = random.Random(16)
    sound = json.dumps({"row_mm": 0.15, "column_mm": 0.2}).encode()
    for _ in range(300):
        data = bytearray(sound)
        for _ in range(rng.choice((1, 2, 8))):
            data[rng.randrange(len(data))] = rng.choice((rng.randrange(256), *b'{}[]",:0'))
        picture.with_suffix(".json").write_bytes(data)
        try:
            assert read(picture).manual is None or read(picture).manual.row_mm > 0
        except SidecarInvalid as refusal:
            assert len(str(refusal)) < 300


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 3 * 1024**3)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("plant", [fifo, folder, device, huge, loop])
def test_a_sidecar_is_a_small_regular_file(picture, plant):
    plant(picture.with_suffix(".json"))
    with pytest.raises(SidecarInvalid):
        read(picture)


def test_a_sidecar_lies_where_files_may_be_read(tmp_path, picture):
    outside, inside = tmp_path / "outside.json", tmp_path / "in"
    outside.write_text('{"pixel_size_mm": 0.15, "secret": "Planted"}')
    inside.mkdir()
    image = picture.rename(inside / "a.png")
    image.with_suffix(".json").symlink_to(outside)
    assert read(image).manual == Spacing(0.15, 0.15)
    with pytest.raises(SidecarInvalid) as refusal:
        read(image, roots=[inside])
    assert "Planted" not in str(refusal.value)


def test_there_is_no_sidecar_behind_a_broken_link_or_under_a_name_too_long(picture):
    picture.with_suffix(".json").symlink_to("nowhere")
    assert read(picture).manual is None
    longest = picture.rename(picture.with_name("x" * 251 + ".png"))
    assert read(longest).manual is None
    assert read(longest.rename(longest.with_name("x" * 255))).manual is None
