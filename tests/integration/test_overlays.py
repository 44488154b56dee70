"""Pictures of rows: by the product's own readers, from the rows alone, each named after its row."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import RLELossless

from hcmodel.annotation import Marks, to_picture
from rig.command import hc, hc_from_the_start
from rig.known_heads import Known, random_phantom, result_of, store, write_known
from worker.errors import OutputUnwritable
from worker.reports.pictures.annotated import marks_of
from worker.reports.pictures.folder import draw_rows, make_folder, safe_stem
from worker.roots import Roots
from worker.sample_files import write_samples
from worker.store.rows import select_rows
from worker.store.session import Database

OUTLINE = (63, 210, 255)
ODD_NAMES = ["a b\u202e<img>.png", "-rf.png", "..png", "x" * 200 + ".png", "\u732b.png", "CON.png"]


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """What is tested here is what is drawn: one kind of database will do."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


def test_each_row_has_a_picture_of_its_ellipse(database: Database, tmp_path: Path) -> None:
    rng = np.random.default_rng()
    known = write_known(database, tmp_path / "images", ODD_NAMES, rng)
    drawn = list(draw_rows(select_rows(database), tmp_path / "new" / "pictures", Roots()))
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0
    assert len({each.path for each in drawn}) == len(known)
    for each, truth in zip(drawn, known, strict=True):
        assert each.problem is None
        assert each.path is not None
        assert int(each.path.name[:6]) == each.row.scan_id
        assert each.path.name.isascii()
        assert not set(each.path.name) & set(' <>:"|?*\\')
        assert len(each.path.name) < 100
        assert marks_of(each.row) == Marks(truth.ellipse, truth.spacing)
        picture = cv2.imread(str(each.path))
        affine = to_picture(truth.pixels.shape, truth.spacing)
        outline = np.rint(truth.ellipse.points(40) @ affine[:, :2].T + affine[:, 2]).astype(int)
        met = [
            np.abs(picture[y - 1 : y + 2, x - 1 : x + 2].astype(int) - OUTLINE) for x, y in outline
        ]
        assert np.mean([each.max(axis=2).min() < 70 for each in met]) > 0.85


def test_what_has_gone_or_changed_is_told_and_others_go_on(
    database: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    rng = np.random.default_rng(3)
    known = write_known(database, tmp_path / "images", [f"{n}.png" for n in range(4)], rng)
    known[1].path.unlink()
    known[2].path.write_bytes(known[0].path.read_bytes())
    done = hc_from_the_start(environment, "results", "--overlays", tmp_path / "pictures")
    assert done.returncode == 0
    assert "1.png: The file is not there." in done.stderr
    assert "2.png: The file is no longer the one that was measured." in done.stderr
    assert "2 pictures in" in done.stderr
    names = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert names == ["000001-0.png", "000004-3.png"]
    hc(environment, "results", "--source", "3.png", "--overlays", tmp_path / "one")
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["000004-3.png"]
    unwritable = hc(environment, "results", "--overlays", known[0].path / "pictures")
    assert (unwritable.returncode, "[output-unwritable]" in unwritable.stderr) == (2, True)


def test_every_form_of_pixels_is_drawn_and_no_text_of_tags(
    database: Database, tmp_path: Path
) -> None:
    """Colour, palette and compression come out as the grey that was measured."""
    rng = np.random.default_rng(5)
    write_samples(tmp_path / "samples")
    plain = dcmread(tmp_path / "samples" / "middle.dcm")
    pixels = plain.pixel_array
    results = []
    for form in ("plain", "rle", "ybr", "palette"):
        data = dcmread(tmp_path / "samples" / "middle.dcm")
        data.PatientName, data.PatientID = "GIBSON^TESSA", "4711"
        if form == "rle":
            data.compress(RLELossless)
        elif form == "ybr":
            data.PhotometricInterpretation, data.SamplesPerPixel = "YBR_FULL", 3
            data.PlanarConfiguration = 0
            grey = np.full_like(pixels, 128)
            data.PixelData = np.stack([pixels, grey, grey], axis=-1).tobytes()
        elif form == "palette":
            data.PhotometricInterpretation = "PALETTE COLOR"
            ramp = np.arange(255, -1, -1, dtype=np.uint16) * 257
            for channel in range(3):
                data.add_new(0x00281101 + channel, "US", [256, 0, 16])
                data.add_new(0x00281201 + channel, "OW", ramp.tobytes())
            data.PixelData = (255 - pixels).tobytes()
        path = tmp_path / f"{form}.dcm"
        data.save_as(path, enforce_file_format=True)
        _, head, spacing = random_phantom(rng)
        results.append((str(path), result_of(Known(path, pixels, head, spacing), rng)))
    store(database, results)
    drawn = list(draw_rows(select_rows(database), tmp_path / "pictures", Roots()))
    for each in drawn:
        assert each.path is not None, each.problem
        picture = cv2.imread(str(each.path))
        marks = marks_of(each.row)
        affine = to_picture(pixels.shape, marks.spacing)
        corner = np.rint(affine @ [20.5, 300.5, 1]).astype(int)
        shown = cv2.resize(pixels, None, fx=affine[0, 0], fy=affine[1, 1])
        around = np.s_[corner[1] - 8 : corner[1] + 8, corner[0] - 8 : corner[0] + 8]
        left = round(affine[0, 2])
        beside = shown[around[0], corner[0] - left - 8 : corner[0] - left + 8]
        assert np.abs(picture[around].mean(axis=2) - beside).mean() < 12
        content = each.path.read_bytes()
        assert b"GIBSON" not in content
        assert b"4711" not in content


def test_pictures_keep_apart_from_images(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "scans")
    with pytest.raises(OutputUnwritable, match="pictures would pass for images"):
        make_folder(tmp_path / "link" / "pictures", [tmp_path / "scans"])
    assert not (tmp_path / "scans" / "pictures").exists()


@pytest.mark.parametrize(
    ("source", "stem"),
    [
        ("NAME:a/b c.dcm", "b_c"),
        ("NAME:x.png", "x"),
        ("/a/..", "image"),
        ("/a/\u732b", "image"),
        ("/a/1.2.840.dcm", "1.2.840"),
        ("/a/" + "y" * 300, "y" * 60),
    ],
)
def test_a_stem_is_safe(source: str, stem: str) -> None:
    assert safe_stem(source) == stem


def test_files_are_measured_for_a_look_and_not_stored(tmp_path: Path) -> None:
    images, data = tmp_path / "images", tmp_path / "data"
    write_samples(images)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
    environment = kept | {"HC_DATA_DIR": str(data), "TF_CPP_MIN_LOG_LEVEL": "3", "DISPLAY": ":77"}
    files = [images / name for name in ("anisotropic.dcm", "no_scale.png", "broken.dcm")]
    done = hc_from_the_start(environment, "view", *files)
    assert done.returncode == 3, done.stderr
    printed = [Path(line) for line in done.stdout.splitlines()]
    assert [path.parent for path in printed] == [data / "views"] * 2
    assert all(path.is_file() for path in printed)
    assert "anisotropic.dcm: HC 24" in done.stderr
    assert "no_scale.png: rejected, spacing-unknown" in done.stderr
    assert "broken.dcm: rejected, file-damaged" in done.stderr
    assert [path.name for path in data.iterdir()] == ["views"]
    inside = hc(environment, "view", images, "--out", images / "new")
    assert (inside.returncode, "[output-unwritable]" in inside.stderr) == (2, True)
    nothing = hc(environment, "view", images / "gone.dcm")
    assert (nothing.returncode, "[path-missing]" in nothing.stderr) == (2, True)
