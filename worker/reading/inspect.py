"""What reading a file would do, told without decoding a pixel: the first thing a physicist asks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hcmodel.geometry import Spacing
from worker.errors import NotAnImage, ScanRejected, SpacingUnknown
from worker.reading.formats import FileFormat, format_of
from worker.reading.head_region import conflict
from worker.reading.library_errors import silence
from worker.reading.sidecar import read_sidecar
from worker.reading.source import Source, open_source
from worker.scan import SPACING_MANUAL, SPACING_PIXEL_SPACING, SPACING_US_REGION, Region

Row = dict[str, Any]

_RULES = {
    SPACING_US_REGION: "ultrasound region, if the head lies in it",
    SPACING_PIXEL_SPACING: "PixelSpacing",
    SPACING_MANUAL: "a person's pixel size",
    None: "none: the file tells no scale",
}


def inspect(
    path: Path, frame: int = 0, manual: Spacing | None = None, *, roots: Sequence[Path] = ()
) -> list[Row]:
    """One row per region in which a head may lie, or one row with the refusal; never raises it.

    Keys are the results' columns, as far as they are known before anything is measured.
    """
    read: Row = {}
    try:
        with silence(), open_source(path, roots) as source:
            manual = read_sidecar(path, roots) or manual
            regions = _read_header(source, frame, manual, read)
    except ScanRejected as refusal:
        return [{**read, "code": refusal.code, "message": str(refusal)}]
    return [{**read, **_candidate(region)} for region in regions]


def _read_header(
    source: Source, frame: int, manual: Spacing | None, read: Row
) -> tuple[Region, ...]:
    """Return the candidates; what is known goes into ``read``, also where a rule refuses."""
    file_format = format_of(source.file)
    if not isinstance(file_format, FileFormat):
        raise NotAnImage(f"it looks like {file_format.reason}")
    read.update(kind=file_format.value, frame=frame)
    return file_format.reader().describe(source, file_format, frame, manual, read)


def _candidate(region: Region) -> Row:
    box, spacing = region.box, region.spacing
    refusal: ScanRejected | None = None
    if spacing is None:
        refusal = SpacingUnknown()
    elif region.contradicted_by is not None:
        refusal = conflict(region)
    return {
        "rule": _RULES[region.spacing_source],
        "spacing_source": region.spacing_source,
        "row_mm": None if spacing is None else spacing.row_mm,
        "column_mm": None if spacing is None else spacing.column_mm,
        "region_index": region.index,
        "region_box": f"{box.left},{box.top},{box.right},{box.bottom}",
        "delta_x_cm": region.delta_x_cm,
        "delta_y_cm": region.delta_y_cm,
        "flags": list(region.flags),
        "code": None if refusal is None else refusal.code,
        "message": None if refusal is None else str(refusal),
    }
