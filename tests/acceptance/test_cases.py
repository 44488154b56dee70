"""Files that contradict themselves, each with the HC of the head that is in them.

CASES_DIR names their folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hcmodel.flags import Flag
from hcmodel.spacing import Spacing
from worker.intake.discover import Options, Request
from worker.measuring.instrument import Instrument, ScanRequest, open_instrument
from worker.result import Status
from worker.settings import Settings
from worker.store.batches import NewScan, NewSkip

HC_MM = 173.7
RIGHT = (
    "a01_no_preamble_implicit.dcm",
    "a07_dicm_no_meta_explicit.dcm",
    "c01_ybr422_tag_full_rgb_pixels.dcm",
    "c06_planar_0_said_pixels_by_plane.dcm",
    "c10_16bit_holding_8bit.dcm",
    "c14_j2k_8_stored_16.dcm",
    "c17_window_0_1.dcm",
    "c23_palette_vr_us.dcm",
    "e07_sc_with_region.dcm",
    "g01_png16_8.png",
)
SKIPPED = {"._a13_appledouble.dcm": "apple-double", "g50_heic.heic": "image-format"}


@pytest.fixture(scope="module")
def found() -> dict[str, NewScan | NewSkip]:
    folder = os.environ.get("CASES_DIR")
    if not folder:
        pytest.skip("CASES_DIR does not name the folder of cases")
    options = Options(pixel_sizes=Path(folder) / "pixel_sizes.csv", recursive=False)
    request = Request.of([Path(folder)], options)
    return {Path(entry.source).name: entry for entry in request.discover()}


@pytest.fixture(scope="module")
def instrument() -> Iterator[Instrument]:
    with open_instrument(Settings.from_environment()) as opened:
        yield opened


@pytest.mark.parametrize("name", RIGHT)
def test_the_head_is_measured(
    found: dict[str, NewScan | NewSkip], instrument: Instrument, name: str
) -> None:
    scan = found[name]
    assert isinstance(scan, NewScan)
    ((_, result),) = instrument.measure([ScanRequest(0, scan.source, 0, scan.manual)])
    assert result.sizes.hc_mm == pytest.approx(HC_MM, abs=0.1), result.message
    told = ("window-unusable",) if name.startswith("c17") else ()
    assert result.ellipse.flags == told


@pytest.mark.parametrize("name", SKIPPED)
def test_what_is_no_image_of_ours_is_skipped(
    found: dict[str, NewScan | NewSkip], name: str
) -> None:
    skip = found[name]
    assert isinstance(skip, NewSkip)
    assert skip.code == SKIPPED[name]


def test_inverted_grey_is_never_trusted(
    found: dict[str, NewScan | NewSkip], instrument: Instrument
) -> None:
    scan = found["c64_inverted_other_head.dcm"]
    assert isinstance(scan, NewScan)
    ((_, result),) = instrument.measure([ScanRequest(0, scan.source)])
    assert result.status is Status.FLAGGED
    assert Flag.GREY_INVERTED in result.ellipse.flags


@pytest.mark.usefixtures("found")
def test_what_is_odd_beside_two_heads_costs_them_nothing(instrument: Instrument) -> None:
    folder = Path(os.environ["CASES_DIR"]) / "poison"
    request = Request.of([folder], Options(pixel_size=Spacing(0.2, 0.2)))
    scans = [entry for entry in request.discover() if isinstance(entry, NewScan)]
    asked = [ScanRequest(number, scan.source, 0, scan.manual) for number, scan in enumerate(scans)]
    results = [result for _, result in instrument.measure(asked)]
    assert [result.status for result in results[:2]] == [Status.MEASURED, Status.MEASURED]
    assert len(results) == 3
