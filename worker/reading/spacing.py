"""The size of a pixel: which of a file's claims is a scale of the anatomy, and which is none.

Before segmentation ``candidate_regions`` lists the places with a known scale, or refuses the file;
after it ``region_of_head`` takes the one that holds the head (``worker.reading.head_region``).
Nothing is ever guessed: dpi, aspect ratios, nominal and imager spacings are not scales of the
anatomy.
"""

from __future__ import annotations

import math
import re

from pydicom.dataset import Dataset

from hcmodel.flags import Flag
from hcmodel.spacing import Spacing, is_size_mm
from worker.errors import (
    EnhancedUsVolume,
    FileDamaged,
    NoSpatialRegion,
    RegionOutsideImage,
    SpacingConflict,
    SpacingUnknown,
    Uncalibrated,
)
from worker.reading import tags
from worker.reading.head_region import conflict, differ
from worker.reading.regions import spatial_items
from worker.scan import (
    SPACING_MANUAL,
    SPACING_PIXEL_SPACING,
    SPACING_US_REGION,
    Box,
    Region,
)

US_CLASSES = frozenset(
    "1.2.840.10008.5.1.4.1.1." + suffix
    for suffix in (
        "6.1",  # Ultrasound Image
        "3.1",  # Ultrasound Multi-frame Image
        "6",  # their retired twins
        "3",
    )
)
ENHANCED_US_VOLUME = "1.2.840.10008.5.1.4.1.1.6.2"

TAGS = (
    "SequenceOfUltrasoundRegions",
    "PixelSpacing",
    "PixelSpacingCalibrationType",
    "PixelAspectRatio",
)

_DECIMAL = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")

_PIXEL_SPACING_AGREES = 0.02
"""PixelSpacing is often written with few digits; a crop or a resampling changes it by more."""
_ASPECT_AGREES = 0.02
"""PixelAspectRatio is a pair of integers, often small ones."""
_PLAUSIBLE_MM_PER_PX = (0.025, 0.60)
"""Pixels of 0.029 mm occur on real devices."""
_PLAUSIBLE_HEIGHT_MM = (20, 400)
"""The depths at which heads are imaged lie well inside."""


def candidate_regions(
    header: Dataset, sop_class: str, shape: tuple[int, int], manual: Spacing | None
) -> tuple[Region, ...]:
    """Phase one: where a head may lie in an image of ``shape`` (rows, columns), with its scale.

    A region without a spacing means that the file tells none. Raises a ``ScanRejected`` by name.
    """
    if sop_class == ENHANCED_US_VOLUME:
        raise EnhancedUsVolume
    if manual is not None:
        return _with_manual(header, shape, manual)
    if "SequenceOfUltrasoundRegions" in header:
        return _calibrated_regions(header, shape)
    stated = _pixel_spacing(header)
    if stated is None:
        return (whole_raster(shape),)
    if sop_class not in US_CLASSES and not tags.code(header, "PixelSpacingCalibrationType"):
        raise Uncalibrated
    aspect = _aspect_ratio(header)
    return (whole_raster(shape, stated, SPACING_PIXEL_SPACING, aspect),)


def whole_raster(
    shape: tuple[int, int],
    spacing: Spacing | None = None,
    source: str | None = None,
    aspect: float | None = None,
) -> Region:
    """Return the whole image of ``shape`` (rows, columns) as one region."""
    box = Box(0, 0, shape[1], shape[0])
    return Region(box, spacing, source, flags=_doubts(box, spacing, aspect))


def _calibrated_regions(header: Dataset, shape: tuple[int, int]) -> tuple[Region, ...]:
    """Rule 4: with a region sequence, a region or nothing; PixelSpacing may only agree."""
    spatial = spatial_items(header)
    if not spatial:
        raise NoSpatialRegion
    aspect = _aspect_ratio(header)
    stated = _spacing_beside_regions(header)
    regions: dict[tuple[Box, Spacing], Region] = {}
    for item in spatial:
        box, spacing = item.box(shape), item.spacing
        region = Region(
            box,
            spacing,
            SPACING_US_REGION,
            item.index,
            item.delta_x,
            item.delta_y,
            _doubts(box, spacing, aspect),
            contradicted_by=stated if stated and _contradicts(stated, spacing) else None,
        )
        regions.setdefault((box, spacing), region)
    if all(region.contradicted_by is not None for region in regions.values()):
        raise conflict(next(iter(regions.values())))
    return tuple(regions.values())


def _contradicts(stated: Spacing, spacing: Spacing) -> bool:
    return differ(spacing, stated, _PIXEL_SPACING_AGREES)


def _with_manual(header: Dataset, shape: tuple[int, int], manual: Spacing) -> tuple[Region, ...]:
    """Rule 9: a person's scale holds everywhere; intact boxes still say where the image is."""
    boxes: dict[Box, int] = {}
    try:
        for item in spatial_items(header):
            boxes.setdefault(item.box(shape), item.index)
    except (RegionOutsideImage, FileDamaged):
        boxes.clear()
    if not boxes:
        return (whole_raster(shape, manual, SPACING_MANUAL),)
    return tuple(
        Region(box, manual, SPACING_MANUAL, index, flags=_doubts(box, manual))
        for box, index in boxes.items()
    )


def _pixel_spacing(header: Dataset) -> Spacing | None:
    """Rule 5: two positive numbers, the rows' spacing first; ``None`` if the tag is absent."""
    text = tags.raw_text(header, "PixelSpacing")
    if text is None:
        return None
    values = [_decimal(value.strip(" ")) for value in text.split("\\")]
    if len(values) != 2 or not all(map(is_size_mm, values)):
        raise SpacingUnknown(f"PixelSpacing reads {tags.quoted(text)}")
    return Spacing(row_mm=values[0], column_mm=values[1])


def _spacing_beside_regions(header: Dataset) -> Spacing | None:
    """PixelSpacing where the regions rule: an empty one says nothing, an unreadable one differs."""
    if not tags.raw_text(header, "PixelSpacing"):
        return None
    try:
        return _pixel_spacing(header)
    except SpacingUnknown as unreadable:
        raise SpacingConflict(unreadable.detail) from None


def _decimal(text: str) -> float:
    """Return a DICOM decimal string's number; NaN for what float() alone takes, as ``1_0``."""
    return float(text) if _DECIMAL.fullmatch(text) else math.nan


def _aspect_ratio(header: Dataset) -> float | None:
    """PixelAspectRatio, the height of a pixel over its width."""
    values = tags.numbers(header, "PixelAspectRatio")
    if len(values) != 2 or not all(math.isfinite(v) and v > 0 for v in values):
        return None
    return values[0] / values[1]


def _doubts(box: Box, spacing: Spacing | None, aspect: float | None = None) -> tuple[Flag, ...]:
    """Rule 8: what is implausible is said, not silently taken or dropped."""
    if spacing is None:
        return ()
    low_mm, high_mm = _PLAUSIBLE_MM_PER_PX
    lowest_mm, highest_mm = _PLAUSIBLE_HEIGHT_MM
    height_mm = (box.bottom - box.top) * spacing.row_mm
    off_mm = None if aspect is None else abs(aspect * spacing.column_mm - spacing.row_mm)
    checks = (
        (Flag.SPACING_IMPLAUSIBLE, not low_mm <= spacing.row_mm <= high_mm),
        (Flag.SPACING_IMPLAUSIBLE, not low_mm <= spacing.column_mm <= high_mm),
        (Flag.REGION_HEIGHT_IMPLAUSIBLE, not lowest_mm <= height_mm <= highest_mm),
        (
            Flag.PIXEL_ASPECT_DIFFERS,
            off_mm is not None and off_mm > _ASPECT_AGREES * spacing.row_mm,
        ),
    )
    return tuple(dict.fromkeys(flag for flag, wrong in checks if wrong))
