"""The same phantom through every form of file has the same head circumference."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jpeg_ls
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    UltrasoundImageStorage,
)
from rle.utils import encode_pixel_data

from hcmodel.geometry import Ellipse, Spacing
from hcmodel.phantom import draw_phantom
from worker.measuring.instrument import Instrument, ScanRequest, open_instrument
from worker.settings import Settings

ROWS, COLUMNS = 540, 800
LOSSLESS_MM, LOSSY_MM = 0.1, 0.5
PHANTOMS = {
    "isotropic": (Spacing(0.2, 0.2), 0.1),
    "anisotropic": (Spacing(0.2, 0.25), 0.5),
    "rotated": (Spacing(0.24, 0.2), 2.2),
}
Words = NDArray[np.integer[Any]]

DEEP = {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15}
COLOUR = {"SamplesPerPixel": 3, "PlanarConfiguration": 0}
YBR = {**COLOUR, "PhotometricInterpretation": "YBR_FULL"}
RGB = {**COLOUR, "PhotometricInterpretation": "RGB"}
INVERSE = {"PhotometricInterpretation": "MONOCHROME1"}
TABLE = (np.arange(255, -1, -1, dtype=np.uint16) << 8).tobytes()
PALETTE = {"PhotometricInterpretation": "PALETTE COLOR"} | {
    f"{name}PaletteColorLookupTable{part}": value
    for name in ("Red", "Green", "Blue")
    for part, value in (("Descriptor", [256, 0, 16]), ("Data", TABLE))
}


def raw(grey: Words) -> bytes:
    return grey.tobytes()


def deep(grey: Words) -> bytes:
    return (grey.astype(np.uint16) << 8 | 99).tobytes()


def swapped(words: bytes) -> bytes:
    return np.frombuffer(words, "<u2").astype(">u2").tobytes()


def ybr(grey: Words) -> bytes:
    return np.dstack([grey, grey // 2 + 60, 255 - grey]).tobytes()


def run_lengths(grey: Words) -> bytes:
    size = {"rows": ROWS, "columns": COLUMNS, "samples_per_pixel": 1, "bits_allocated": 8}
    return encapsulate([encode_pixel_data(raw(grey), byteorder="<", number_of_frames=1, **size)])


def jpeg_ls_of(lossy_error: int) -> Callable[[Words], bytes]:
    return lambda grey: encapsulate([bytes(jpeg_ls.encode_array(grey, lossy_error))])


def picture(form: str, *, colour: bool = False, **options: object) -> Callable[[Words], bytes]:
    def encode(grey: Words) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(np.dstack([grey] * 3) if colour else grey).save(buffer, form, **options)
        return encapsulate([buffer.getvalue()])

    return encode


J2K = {"no_jp2": True}
LOSSLESS = {
    "implicit": (ImplicitVRLittleEndian, raw, {}),
    "explicit": (ExplicitVRLittleEndian, raw, {}),
    "deflated": (DeflatedExplicitVRLittleEndian, raw, {}),
    "16 bits": (ExplicitVRLittleEndian, deep, DEEP),
    "big endian": (ExplicitVRBigEndian, lambda grey: swapped(deep(grey)), DEEP),
    "MONOCHROME1": (ExplicitVRLittleEndian, lambda grey: raw(255 - grey), INVERSE),
    "palette": (ExplicitVRLittleEndian, lambda grey: raw(255 - grey), PALETTE),
    "RGB": (ExplicitVRLittleEndian, lambda grey: np.dstack([grey] * 3).tobytes(), RGB),
    "YBR_FULL": (ExplicitVRLittleEndian, ybr, YBR),
    "RLE": (RLELossless, run_lengths, {}),
    "JPEG-LS": (JPEGLSLossless, jpeg_ls_of(0), {}),
    "JPEG 2000": (JPEG2000Lossless, picture("JPEG2000", **J2K), {}),
}  # fmt: skip
LOSSY = {
    "JPEG": (JPEGBaseline8Bit, picture("JPEG", quality=90), {}),
    "colour JPEG": (JPEGBaseline8Bit, picture("JPEG", colour=True, quality=85), YBR),
    "JPEG-LS": (JPEGLSNearLossless, jpeg_ls_of(3), {}),
    "JPEG 2000": (
        JPEG2000,
        picture("JPEG2000", irreversible=True, quality_layers=[15], **J2K),
        {},
    ),
}


def write_dicom(path: Path, grey: Words, spacing: Spacing, form: tuple[Any, ...]) -> Path:
    transfer_syntax, encode, changes = form
    region = Dataset()
    region.RegionSpatialFormat = region.RegionDataType = 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY = spacing.column_mm / 10, spacing.row_mm / 10
    region.RegionLocationMinX0 = region.RegionLocationMinY0 = 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = COLUMNS - 1, ROWS - 1
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = UltrasoundImageStorage, "1.2.826.0.1.3680043.8.498.9"
    ds.SequenceOfUltrasoundRegions = [region]
    ds.Rows, ds.Columns, ds.SamplesPerPixel = ROWS, COLUMNS, 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    for keyword, value in changes.items():
        setattr(ds, keyword, value)
    ds.PixelData = encode(grey)
    ds["PixelData"].VR = "OW" if ds.BitsAllocated == 16 else "OB"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = transfer_syntax
    ds.save_as(path, enforce_file_format=True)
    return path


def write_jpeg_lossless(path: Path, native: Path) -> Path:
    """GDCM alone writes it."""
    import gdcm

    reader, change, writer = (
        gdcm.ImageReader(),
        gdcm.ImageChangeTransferSyntax(),
        gdcm.ImageWriter(),
    )
    reader.SetFileName(str(native))
    assert reader.Read()
    kind = gdcm.TransferSyntax.GetTSType(str(JPEGLosslessSV1))
    change.SetTransferSyntax(gdcm.TransferSyntax(kind))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return path


@pytest.fixture(scope="module")
def instrument() -> Iterator[Instrument]:
    with open_instrument(Settings.from_environment()) as opened:
        yield opened


def measured(instrument: Instrument, requests: dict[str, ScanRequest]) -> dict[str, float]:
    found = {}
    for name, (_, result) in zip(requests, instrument.measure(requests.values()), strict=True):
        assert result.sizes.hc_mm is not None, f"{name}: {result.message}"
        found[name] = result.sizes.hc_mm
    return found


@pytest.mark.parametrize("phantom", PHANTOMS)
def test_hc_does_not_depend_on_the_form_of_the_file(instrument, tmp_path, phantom):
    spacing, angle_rad = PHANTOMS[phantom]
    head = Ellipse(400, 270, 200, 155, angle_rad)
    grey = draw_phantom((ROWS, COLUMNS), head, np.random.default_rng(3))
    Image.fromarray(grey).save(tmp_path / "image.png")
    requests = {"PNG": ScanRequest(0, str(tmp_path / "image.png"), 0, spacing)}
    forms = {f"lossless {name}": form for name, form in LOSSLESS.items()} | {
        f"lossy {name}": form for name, form in LOSSY.items()
    }
    for number, (name, form) in enumerate(forms.items(), start=1):
        path = write_dicom(tmp_path / f"{number}.dcm", grey, spacing, form)
        requests[name] = ScanRequest(number, str(path))
    if importlib.util.find_spec("gdcm"):
        path = write_jpeg_lossless(
            tmp_path / "gdcm.dcm", Path(requests["lossless explicit"].source)
        )
        requests["lossless JPEG"] = ScanRequest(99, str(path))
    found_mm = measured(instrument, requests)
    for name, hc_mm in found_mm.items():
        bound_mm = LOSSY_MM if name.startswith("lossy") else LOSSLESS_MM
        assert hc_mm == pytest.approx(found_mm["PNG"], abs=bound_mm), name
    assert found_mm["PNG"] == pytest.approx(head.circumference_mm(spacing), rel=0.03)
