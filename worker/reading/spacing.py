"""The size of a pixel: which of a file's claims is a scale of the anatomy, and which is none.

Two phases. Before segmentation ``candidate_regions`` lists the places with a known scale, or
refuses the file; after it ``region_of_head`` takes the one that holds the head. Nothing is ever
guessed: dpi, aspect ratios, nominal and imager spacings are not scales of the anatomy.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from pydicom.dataset import Dataset

from hcmodel.flags import Flag
from hcmodel.spacing import Spacing, is_size_mm
from worker.errors import (
    AmbiguousRegions,
    EnhancedUsVolume,
    FileDamaged,
    HeadOutsideRegion,
    NoSpatialRegion,
    RegionOutsideImage,
    SpacingConflict,
    SpacingUnknown,
    Uncalibrated,
)
from worker.reading import tags
from worker.reading.regions import TOLERANCE_PX, spatial_items
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

_SAME_SCALE = 0.001
"""Share by which two panes of one scale may differ: their deltas are rounded, and HC with them."""
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


def region_of_head(
    regions: Sequence[Region], head_box_px: tuple[float, float, float, float]
) -> Region:
    """Phase two: the region that holds the head's box (left, top, right, bottom; original px).

    Raises ``HeadOutsideRegion``, ``AmbiguousRegions`` or ``SpacingConflict``.
    """
    around = [r for r in regions if r.index is None or _holds(r.box, head_box_px)]
    if not around:
        raise HeadOutsideRegion
    scales = [r.spacing for r in around if r.spacing is not None]
    if scales and _differ(_smallest(scales), _largest(scales), _SAME_SCALE):
        raise AmbiguousRegions
    if around[0].contradicted_by is not None:
        raise conflict(around[0])
    return around[0]


def conflict(region: Region) -> SpacingConflict:
    """Return the refusal of a region that PixelSpacing contradicts, with both scales."""
    assert region.spacing is not None
    assert region.contradicted_by is not None
    return SpacingConflict(
        f"{_shown(region.contradicted_by)} by PixelSpacing, {_shown(region.spacing)} by the region"
    )


def _shown(spacing: Spacing) -> str:
    return f"{spacing.row_mm:.4g} x {spacing.column_mm:.4g} mm"


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
    return _differ(spacing, stated, _PIXEL_SPACING_AGREES)


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


def _holds(box: Box, head_box_px: tuple[float, float, float, float]) -> bool:
    left, top, right, bottom = head_box_px
    return (
        left >= box.left - TOLERANCE_PX
        and top >= box.top - TOLERANCE_PX
        and right <= box.right - 1 + TOLERANCE_PX
        and bottom <= box.bottom - 1 + TOLERANCE_PX
    )


def _smallest(scales: Sequence[Spacing]) -> Spacing:
    return Spacing(min(s.row_mm for s in scales), min(s.column_mm for s in scales))


def _largest(scales: Sequence[Spacing]) -> Spacing:
    return Spacing(max(s.row_mm for s in scales), max(s.column_mm for s in scales))


def _differ(one: Spacing, other: Spacing, share: float) -> bool:
    """Whether rows or columns disagree by more than ``share`` of the smaller one."""
    pairs = ((one.row_mm, other.row_mm), (one.column_mm, other.column_mm))
    return any(max(pair) > (1 + share) * min(pair) for pair in pairs)
