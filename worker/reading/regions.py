"""Items of SequenceOfUltrasoundRegions: which of them show anatomy, where, and at what scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeGuard

from pydicom.dataset import Dataset

from hcmodel.spacing import Spacing, is_size_mm
from worker.errors import RegionOutsideImage
from worker.reading import tags
from worker.reading.head_region import TOLERANCE_PX
from worker.scan import Box

_FORMAT_2D = 1
_TISSUE, _COLOUR_FLOW = 1, 2
_CENTIMETRES = 3
_MM_PER_CM = 10
_CORNERS = ("MinX0", "MinY0", "MaxX1", "MaxY1")


@dataclass(frozen=True, slots=True)
class SpatialItem:
    """An item of the region sequence that shows anatomy in centimetres.

    ``corners``: left, top, right, bottom, with the last pixel inside, as the file counts.
    """

    index: int
    corners: tuple[int, int, int, int]
    delta_x: float
    delta_y: float

    @property
    def spacing(self) -> Spacing:
        """Rows and columns apart, as they differ on real scanners; a sign is only a direction."""
        return Spacing(
            row_mm=abs(self.delta_y) * _MM_PER_CM, column_mm=abs(self.delta_x) * _MM_PER_CM
        )

    def box(self, shape: tuple[int, int]) -> Box:
        """Return the item's box in a raster of ``shape`` (rows, columns).

        Raises ``RegionOutsideImage`` where it leaves the raster (rule 3): then it was calibrated on
        another image.
        """
        rows, columns = shape
        left, top, right, bottom = self.corners
        if (
            min(left, top) < -TOLERANCE_PX
            or right > columns - 1 + TOLERANCE_PX
            or bottom > rows - 1 + TOLERANCE_PX
        ):
            raise RegionOutsideImage(
                f"region {self.index} ends at column {right}, row {bottom} "
                f"of {columns} columns, {rows} rows"
            )
        return Box(max(left, 0), max(top, 0), min(right + 1, columns), min(bottom + 1, rows))


def spatial_items(header: Dataset) -> list[SpatialItem]:
    """Return the items that show anatomy in centimetres (rule 2); raises ``FileDamaged``."""
    items = enumerate(tags.items(header, "SequenceOfUltrasoundRegions"))
    spatial = (_spatial_item(index, item) for index, item in items)
    return [item for item in spatial if item is not None]


def _spatial_item(index: int, item: Dataset) -> SpatialItem | None:
    """Apply rule 2: a 2D image of tissue or flow, in centimetres both ways, with a proper box."""
    if (
        tags.integer(item, "RegionSpatialFormat") != _FORMAT_2D
        or tags.integer(item, "RegionDataType") not in (_TISSUE, _COLOUR_FLOW)
        or tags.integer(item, "PhysicalUnitsXDirection") != _CENTIMETRES
        or tags.integer(item, "PhysicalUnitsYDirection") != _CENTIMETRES
    ):
        return None
    left, top, right, bottom = (tags.integer(item, "RegionLocation" + end) for end in _CORNERS)
    delta_x, delta_y = tags.number(item, "PhysicalDeltaX"), tags.number(item, "PhysicalDeltaY")
    if left is None or top is None or right is None or bottom is None:
        return None
    if not (left < right and top < bottom and _is_size(delta_x) and _is_size(delta_y)):
        return None
    return SpatialItem(index, (left, top, right, bottom), delta_x, delta_y)


def _is_size(delta_cm: float | None) -> TypeGuard[float]:
    return delta_cm is not None and is_size_mm(abs(delta_cm) * _MM_PER_CM)
