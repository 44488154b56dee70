"""What inspect says is what read does, without pixels."""

from __future__ import annotations

import subprocess
import sys

import pytest
from PIL import Image

from hcmodel.geometry import Spacing
from worker.errors import ScanRejected
from worker.reading import read
from worker.reading.inspect import inspect


def test_every_candidate_is_a_row(image, region, save):
    left = region(RegionLocationMaxX1=39)
    right = region(RegionLocationMinX0=40, RegionLocationMaxX1=79, PhysicalDeltaX=-0.05)
    rows = inspect(save(image(left, right, PixelSpacing=[0.2, 0.25])))
    assert [row["region_index"] for row in rows] == [0, 1]
    assert [row["region_box"] for row in rows] == ["4,5,40,56", "40,5,80,56"]
    assert [row["column_mm"] for row in rows] == [0.25, 0.5]
    assert [row["code"] for row in rows] == [None, "spacing-conflict"]
    first = rows[0]
    assert (first["rows"], first["columns"], first["frames"], first["frame"]) == (60, 80, 1, 0)
    assert (first["decoder"], first["photometric"]) == ("pydicom", "MONOCHROME2")
    assert first["transfer_syntax"] == "Explicit VR Little Endian"
    assert (first["spacing_source"], first["delta_x_cm"]) == ("us-region", 0.025)
    assert "ultrasound region" in first["rule"]
    assert first["flags"] == ["region-height-implausible"]


def test_unknown_scale_is_said_with_the_remedy(image, save, tmp_path):
    Image.new("L", (64, 48)).save(tmp_path / "image.png")
    for path in (save(image()), tmp_path / "image.png"):
        (row,) = inspect(path)
        assert (row["row_mm"], row["code"]) == (None, "spacing-unknown")
        assert "--pixel-size" in row["message"]
        (row,) = inspect(path, manual=Spacing(0.2, 0.3))
        assert (row["row_mm"], row["column_mm"], row["code"]) == (0.2, 0.3, None)
        assert row["spacing_source"] == "manual"


def test_refusal_keeps_what_was_read_before_it(image, region, save):
    (row,) = inspect(save(image(region(RegionLocationMaxX1=500))))
    assert row["code"] == "region-outside-image"
    assert row["rows"] == 60
    assert row["decoder"] == "pydicom"
    (row,) = inspect(save(image(region())), frame=3)
    assert row["code"] == "no-such-frame"


def test_no_file_raises(tmp_path):
    (tmp_path / "empty.dcm").touch()
    assert inspect(tmp_path / "empty.dcm")[0]["code"] == "file-empty"
    assert inspect(tmp_path / "missing.dcm")[0]["code"] == "file-missing"
    assert inspect(tmp_path)[0]["code"] == "not-a-file"


def test_agrees_with_read_on_real_files(us_dicom):
    for path in sorted(us_dicom.glob("*.dcm")):
        rows = inspect(path)
        try:
            scan = read(path)
        except ScanRejected as refusal:
            assert [row["code"] for row in rows] == [refusal.code]
            continue
        assert [row["decoder"] for row in rows] == [scan.decoder] * len(scan.regions)
        for row, region in zip(rows, scan.regions, strict=True):
            spacing = region.spacing
            assert row["row_mm"] == (None if spacing is None else spacing.row_mm)


@pytest.mark.parametrize("module", ["worker.reading", "worker.reading.inspect"])
def test_loads_neither_network_nor_more_than_needed(module):
    heavy = ["tensorflow", "keras", "cv2", "celery", "sqlalchemy"]
    if module == "worker.reading":
        heavy += ["pydicom", "PIL"]
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
