"""Which of an image's regions holds the head that was found, and so what its scale is.

Without the library that reads headers: whoever measures has no need of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from hcmodel.spacing import Spacing
from worker.errors import AmbiguousRegions, HeadOutsideRegion, SpacingConflict
from worker.scan import Box, Region

TOLERANCE_PX = 1
"""Some writers count a box's end as one past its last pixel; a crop moves it by more."""
_SAME_SCALE = 0.001
"""Share by which two panes of one scale may differ: their deltas are rounded, and HC with them."""


def region_of_head(
    regions: Sequence[Region], head_box_px: tuple[float, float, float, float]
) -> Region:
    """Return the region that holds the head's box (left, top, right, bottom; original px).

    Raises ``HeadOutsideRegion``, ``AmbiguousRegions`` or ``SpacingConflict``.
    """
    around = [r for r in regions if r.index is None or _holds(r.box, head_box_px)]
    if not around:
        raise HeadOutsideRegion
    scales = [r.spacing for r in around if r.spacing is not None]
    if scales and differ(_smallest(scales), _largest(scales), _SAME_SCALE):
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


def differ(one: Spacing, other: Spacing, share: float) -> bool:
    """Return whether rows or columns disagree by more than ``share`` of the smaller one."""
    pairs = ((one.row_mm, other.row_mm), (one.column_mm, other.column_mm))
    return any(max(pair) > (1 + share) * min(pair) for pair in pairs)
