"""Mutated DICOM and image files: each ends with a scan or a code, in bounded time and memory.

A short run by default; ``make fuzz`` sets HC_FUZZ_FILES to 20,000. HC_FUZZ_SEED repeats a run.
"""

from __future__ import annotations

import importlib.util
import io
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path

import jpeg_ls
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from rle.utils import encode_pixel_data

from rig.mutations import mutated
from worker.errors import HcBatchError
from worker.reading import FileFormat, FramePolicy, Skip, classify, frame_indices
from worker.reading.sandbox.pool import ReaderPool

FILES = int(os.environ.get("HC_FUZZ_FILES", "400"))
SEED = int(os.environ.get("HC_FUZZ_SEED", "20240521"))
MAX_S = 20.0
MAX_DISCOVERY_S = 2.0
ROWS, COLUMNS = 60, 80
RGB = np.random.default_rng(SEED).integers(0, 256, (ROWS, COLUMNS, 3), np.uint8)
GREY = np.ascontiguousarray(RGB[..., 0])
ALL = FramePolicy.parse("all")


def dicom(pixels: bytes, transfer_syntax: str, **changes: object) -> bytes:
    region = Dataset()
    region.RegionSpatialFormat = region.RegionDataType = 1
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 2
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 70, 50
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX = region.PhysicalDeltaY = 0.03
    ds = Dataset()
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    ds.SOPInstanceUID = "1.2.826.0.1.3680043.8.498.7"
    ds.PatientName = "Planted^Name"
    ds.SequenceOfUltrasoundRegions = [region]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns, ds.NumberOfFrames = ROWS, COLUMNS, 1
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.WindowCenter, ds.WindowWidth, ds.PixelSpacing = 128, 256, [0.3, 0.3]
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    ds.PixelData = pixels
    ds["PixelData"].VR = "OB"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = transfer_syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def picture(values: np.ndarray, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, form, **options)
    return buffer.getvalue()


def palette() -> dict[str, object]:
    table = np.arange(0, 65536, 256, np.uint16).tobytes()
    return {"PhotometricInterpretation": "PALETTE COLOR"} | {
        f"{colour}PaletteColorLookupTable{part}": value
        for colour in ("Red", "Green", "Blue")
        for part, value in (("Descriptor", [256, 0, 16]), ("Data", table))
    }


def compressed() -> dict[str, bytes]:
    """One frame by each codec that can be written here."""
    rle = encode_pixel_data(
        GREY.tobytes(), rows=ROWS, columns=COLUMNS, samples_per_pixel=1, bits_allocated=8,
        number_of_frames=1, byteorder="<",
    )  # fmt: skip
    frames = {
        RLELossless: rle,
        JPEGLSLossless: bytes(jpeg_ls.encode_array(GREY)),
        JPEG2000: picture(GREY, "JPEG2000", no_jp2=True),
        JPEGBaseline8Bit: picture(GREY, "JPEG"),
    }
    return {kind.name: dicom(encapsulate([data]), kind) for kind, data in frames.items()}


def jpeg_lossless(folder: Path) -> bytes:
    """GDCM alone writes it."""
    import gdcm

    reader, change, writer = (
        gdcm.ImageReader(),
        gdcm.ImageChangeTransferSyntax(),
        gdcm.ImageWriter(),
    )
    (folder / "native.dcm").write_bytes(dicom(GREY.tobytes(), ExplicitVRLittleEndian))
    reader.SetFileName(str(folder / "native.dcm"))
    reader.Read()
    kind = gdcm.TransferSyntax.GetTSType(str(JPEGLosslessSV1))
    change.SetTransferSyntax(gdcm.TransferSyntax(kind))
    change.SetInput(reader.GetImage())
    change.Change()
    writer.SetFileName(str(folder / "lossless.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.Write()
    return (folder / "lossless.dcm").read_bytes()


def seeds(folder: Path) -> dict[str, bytes]:
    """Sound files, each of which is read before any of them is mutated."""
    raw = GREY.tobytes()
    colours = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PhotometricInterpretation": "RGB"}
    jpegs = encapsulate([picture(RGB, "JPEG")] * 3)
    found = {
        "explicit": dicom(raw, ExplicitVRLittleEndian),
        "implicit": dicom(raw, ImplicitVRLittleEndian),
        "big endian": dicom(raw, ExplicitVRBigEndian),
        "no preamble": dicom(raw, ImplicitVRLittleEndian)[132:],
        "no meta": b"".join(dicom(raw, ExplicitVRLittleEndian).partition(b"\x08\0\x16\0UI")[1:]),
        "deep": dicom(
            GREY.astype(np.uint16).tobytes(),
            ExplicitVRLittleEndian,
            BitsAllocated=16,
            BitsStored=12,
            HighBit=11,
            WindowWidth=1,
        ),
        "deflated": dicom(raw, DeflatedExplicitVRLittleEndian),
        "palette": dicom(raw, ExplicitVRLittleEndian, **palette()),
        "frames": dicom(raw * 3, ExplicitVRLittleEndian, NumberOfFrames=3),
        "colour": dicom(RGB.tobytes(), ExplicitVRLittleEndian, **colours),
        "colour jpeg": dicom(jpegs, JPEGBaseline8Bit, **{**colours, "NumberOfFrames": 3}),
        "png": picture(GREY, "PNG"),
        "colour png": picture(RGB, "PNG"),
        "jpeg": picture(RGB, "JPEG"),
        "tiff": picture(GREY, "TIFF"),
        "lzw tiff": picture(RGB, "TIFF", compression="tiff_lzw"),
        **compressed(),
    }
    if importlib.util.find_spec("gdcm"):
        found["jpeg lossless"] = jpeg_lossless(folder)
    return found


def test_sound_files_are_read(tmp_path):
    with ReaderPool(1) as pool:
        for data in seeds(tmp_path).values():
            (tmp_path / "sound").write_bytes(data)
            pool.read(tmp_path / "sound")


@pytest.mark.timeout(7200)
def test_mutated_files_end_with_a_scan_or_a_code(tmp_path, capsys):
    rng = random.Random(SEED)
    sound = list(seeds(tmp_path).values())
    ends: Counter[str] = Counter()
    path = tmp_path / "mutated.dcm"
    slowest_s = 0.0
    with ReaderPool(1, deadline_s=MAX_S) as pool:
        for number in range(FILES):
            path.write_bytes(mutated(sound, rng))
            start_s = time.monotonic()
            assert isinstance(classify(path), FileFormat | Skip)
            frames = frame_indices(path, ALL)
            assert time.monotonic() - start_s < MAX_DISCOVERY_S, f"file {number} of seed {SEED}"
            end = ended(pool, path, frames[-1])
            if end in ("crashed-worker", "decode-timeout"):
                path.rename(tmp_path / f"{end}-{number}.dcm")
            ends[end] += 1
            slowest_s = max(slowest_s, time.monotonic() - start_s)
    counts = ", ".join(f"{end} {count}" for end, count in ends.most_common())
    with capsys.disabled():
        sys.stdout.write(f"\nseed {SEED}, {FILES} files, slowest {slowest_s:.2f} s: {counts}\n")
    assert sum(ends.values()) == FILES
    assert ends["leaked a name"] == 0
    assert ends["decode-timeout"] == ends["crashed-worker"] == 0, f"files are in {tmp_path}"


def ended(pool: ReaderPool, path: Path, frame: int) -> str:
    """``read``, or the code of the refusal, whose text must quote nothing of the file."""
    try:
        pool.read(path, frame)
    except HcBatchError as refusal:
        if "Planted" in str(refusal):
            return "leaked a name"
        return refusal.code
    return "read"
