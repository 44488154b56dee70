"""DICOM files written by the tests themselves: every layout that a table in the docs names."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)

ROWS, COLUMNS = 60, 80


def region(**changes: object) -> Dataset:
    """A calibrated 2D tissue region, 0.2 mm down and 0.25 mm across."""
    item = Dataset()
    item.RegionSpatialFormat = 1
    item.RegionDataType = 1
    item.RegionFlags = 0
    item.RegionLocationMinX0 = 4
    item.RegionLocationMinY0 = 5
    item.RegionLocationMaxX1 = 73
    item.RegionLocationMaxY1 = 55
    item.PhysicalUnitsXDirection = 3
    item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX = 0.025
    item.PhysicalDeltaY = 0.02
    for keyword, value in changes.items():
        setattr(item, keyword, value)
    return item


def ramp(rows: int = ROWS, columns: int = COLUMNS) -> NDArray[np.uint8]:
    """All 256 levels, none of them in order of another's multiple."""
    return (np.arange(rows * columns, dtype=np.uint32) * 7 % 256).astype(np.uint8).reshape(rows, -1)


def image(*regions: Dataset, frames: int = 1, **changes: object) -> Dataset:
    """An uncompressed 8-bit ultrasound image that holds ``ramp``."""
    ds = Dataset()
    ds.SOPClassUID = UltrasoundMultiFrameImageStorage if frames > 1 else UltrasoundImageStorage
    ds.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    ds.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.2"
    ds.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.3"
    ds.Modality = "US"
    ds.Rows, ds.Columns = ROWS, COLUMNS
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    ds.PixelRepresentation = 0
    if frames > 1:
        ds.NumberOfFrames = frames
    if regions:
        ds.SequenceOfUltrasoundRegions = list(regions)
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    if "PixelData" not in ds:
        ds.PixelData = b"".join((ramp() + n).tobytes() for n in range(frames))
    return ds


def save(ds: Dataset, path: Path, transfer_syntax: str = ExplicitVRLittleEndian) -> Path:
    """Writes a DICOM file; what the tests plant may be as wrong as it likes."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = transfer_syntax
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta = meta
    ds.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture(name="region")
def region_fixture() -> Callable[..., Dataset]:
    return region


@pytest.fixture(name="image")
def image_fixture() -> Callable[..., Dataset]:
    return image


@pytest.fixture(name="save")
def save_fixture(tmp_path: Path) -> Callable[..., Path]:
    def save_here(ds: Dataset, name: str = "image.dcm", **options: str) -> Path:
        return save(ds, tmp_path / name, **options)

    return save_here


@pytest.fixture(name="ramp")
def ramp_fixture() -> NDArray[np.uint8]:
    return ramp()


@pytest.fixture
def us_dicom() -> Path:
    """The folder of real ultrasound files."""
    folder = os.environ.get("US_DICOM_DIR")
    if not folder:
        pytest.skip("US_DICOM_DIR does not name the folder of real ultrasound files")
    return Path(folder)
