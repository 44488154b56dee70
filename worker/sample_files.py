"""Sample files of known HC: what the demo measures, with the truth beside them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid

from hcmodel.arrays import GreyImage
from hcmodel.geometry import Ellipse, Spacing, perimeter
from hcmodel.phantom import draw_phantom

PIXEL_SIZES = "pixel_sizes.csv"
RASTER = (540, 800)
"""Rows and columns, as HC18 has them."""
AXIS_RATIO = 0.78
"""b/a of a usual fetal head."""
SEED = 2018


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample file; ``hc_mm`` is ``None`` where the right answer is a refusal."""

    name: str
    hc_mm: float | None
    note: str


@dataclass(frozen=True, slots=True)
class _Phantom:
    name: str
    hc_mm: float | None
    spacing: Spacing
    note: str
    angle_rad: float = 0.2


PHANTOMS = (
    _Phantom("early.dcm", 95.0, Spacing(0.10, 0.10), "DICOM, 0.10 mm/px"),
    _Phantom("middle.dcm", 180.0, Spacing(0.18, 0.18), "DICOM, 0.18 mm/px", 2.8),
    _Phantom("late.dcm", 320.0, Spacing(0.28, 0.28), "DICOM, 0.28 mm/px", 0.05),
    _Phantom("anisotropic.dcm", 240.0, Spacing(0.20, 0.25), "DICOM, rows 0.20, columns 0.25", 0.5),
    _Phantom("interface.dcm", 210.0, Spacing(0.20, 0.20), "DICOM, screen around the image"),
    _Phantom("sized.png", 150.0, Spacing(0.15, 0.15), f"PNG, size from {PIXEL_SIZES}"),
    _Phantom("sidecar.png", 265.0, Spacing(0.24, 0.24), "PNG, size from sidecar.json", 3.0),
)


def write_samples(folder: Path) -> list[Sample]:
    """Fill ``folder`` with phantoms, files to refuse and one to skip; returns the truth."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = [_write_phantom(folder, number, phantom) for number, phantom in enumerate(PHANTOMS)]
    samples += _write_refusals(folder)
    (folder / "notes.txt").write_text("A file that is no image, to be skipped.\n")
    return samples


def write_series(folder: Path, count: int, seed: int) -> list[Path]:
    """Write ``count`` different DICOM phantoms, for measurements of speed and for tests."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        rng = np.random.default_rng([SEED, seed, number])
        spacing = Spacing(0.2, 0.2)
        name = f"series{seed}-{number:05}.dcm"
        phantom = _Phantom(name, rng.uniform(120, 300), spacing, "", rng.uniform(-0.4, 0.4))
        paths.append(folder / name)
        _write_dicom(paths[-1], draw_phantom(RASTER, _head(phantom, rng), rng), (0, 0), phantom)
    return paths


def _write_phantom(folder: Path, number: int, phantom: _Phantom) -> Sample:
    rng = np.random.default_rng([SEED, number])
    head = None if phantom.hc_mm is None else _head(phantom, rng)
    pixels = draw_phantom(RASTER, head, rng)
    path = folder / phantom.name
    if path.suffix == ".dcm":
        framed = phantom.name == "interface.dcm"
        _write_dicom(path, *(_with_interface(pixels) if framed else (pixels, (0, 0))), phantom)
    else:
        _write_png(path, pixels)
    if phantom.name == "sized.png":
        _write_pixel_sizes(folder / PIXEL_SIZES, [phantom])
    elif phantom.name == "sidecar.png":
        size = {"row_mm": phantom.spacing.row_mm, "column_mm": phantom.spacing.column_mm}
        path.with_suffix(".json").write_text(json.dumps(size) + "\n")
    return Sample(phantom.name, phantom.hc_mm, phantom.note)


def _write_refusals(folder: Path) -> list[Sample]:
    rng = np.random.default_rng([SEED, 100])
    spacing = Spacing(0.2, 0.2)
    unscaled = _Phantom("no_scale.png", 200.0, spacing, "")
    _write_png(folder / unscaled.name, draw_phantom(RASTER, _head(unscaled, rng), rng))
    empty = _Phantom("no_head.dcm", None, spacing, "")
    _write_dicom(folder / empty.name, draw_phantom(RASTER, None, rng), (0, 0), empty)
    whole = (folder / "middle.dcm").read_bytes()
    (folder / "broken.dcm").write_bytes(whole[: len(whole) // 3])
    return [
        Sample(unscaled.name, None, "PNG without a scale"),
        Sample(empty.name, None, "DICOM without a head"),
        Sample("broken.dcm", None, "DICOM cut short"),
    ]


def _head(phantom: _Phantom, rng: np.random.Generator) -> Ellipse:
    """Return an ellipse of the wanted HC near the middle, from millimetres to pixels."""
    assert phantom.hc_mm is not None
    semi_axis_a_mm = phantom.hc_mm / perimeter(1, AXIS_RATIO)
    upright_mm = Ellipse(0, 0, semi_axis_a_mm, AXIS_RATIO * semi_axis_a_mm, phantom.angle_rad)
    to_px = np.diag([1 / phantom.spacing.column_mm, 1 / phantom.spacing.row_mm])
    center_px = np.array([RASTER[1], RASTER[0]]) / 2 + rng.uniform(-15, 15, 2)
    return upright_mm.transformed(np.column_stack([to_px, center_px]))


def _with_interface(pixels: GreyImage) -> tuple[GreyImage, tuple[int, int]]:
    """Return the image inside a scanner's screen with text, and its left top corner in px."""
    top, left = 90, 140
    screen = np.zeros((768, 1024), np.uint8)
    screen[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    for row, text in enumerate(("OB 2/3   HC", "MI 0.9  TIs 0.2", "FR 31 Hz")):
        at = (20 + 300 * row, 50)
        cv2.putText(screen, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.7, 230, 1, cv2.LINE_AA)
    screen[120:420, 60:80] = np.linspace(255, 0, 300).astype(np.uint8)[:, None]
    return screen, (left, top)


def _write_png(path: Path, pixels: GreyImage) -> None:
    if not cv2.imwrite(str(path), pixels):
        raise OSError(f"cannot write {path}")


def _write_pixel_sizes(path: Path, phantoms: Sequence[_Phantom]) -> None:
    with path.open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["filename", "pixel size(mm)"])
        writer.writerows([phantom.name, phantom.spacing.row_mm] for phantom in phantoms)


def _write_dicom(
    path: Path, pixels: GreyImage, corner_px: tuple[int, int], phantom: _Phantom
) -> None:
    left, top = corner_px
    region = Dataset()
    region.RegionSpatialFormat, region.RegionDataType, region.RegionFlags = 1, 1, 0
    region.RegionLocationMinX0, region.RegionLocationMinY0 = left, top
    region.RegionLocationMaxX1 = left + RASTER[1] - 1
    region.RegionLocationMaxY1 = top + RASTER[0] - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = phantom.spacing.column_mm / 10
    region.PhysicalDeltaY = phantom.spacing.row_mm / 10

    data = Dataset()
    data.SOPClassUID = UltrasoundImageStorage
    data.SOPInstanceUID = generate_uid(entropy_srcs=["hc-batch sample", phantom.name])
    data.StudyInstanceUID = generate_uid(entropy_srcs=["hc-batch samples"])
    data.SeriesInstanceUID = generate_uid(entropy_srcs=["hc-batch sample series"])
    data.Modality, data.Manufacturer = "US", "hc-batch phantom"
    data.PatientName, data.PatientID = "Phantom^Sample", "PHANTOM"
    data.SequenceOfUltrasoundRegions = [region]
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit, data.PixelRepresentation = 7, 0
    data.PixelData = pixels.tobytes()
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = data.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta = meta
    data.save_as(path, enforce_file_format=True)
