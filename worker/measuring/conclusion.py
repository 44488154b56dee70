"""What a scan comes to, once every region was looked at: an HC, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hcmodel.flags import Flag
from hcmodel.gestational_age import FORMULAS
from hcmodel.measurement import Measurement
from hcmodel.plane import Plane
from worker.errors import HcBatchError, NoHead, OtherAnatomy, ScanFailed, SpacingUnknown
from worker.reading.head_region import region_of_head
from worker.result import (
    FileIdentity,
    HeadEllipse,
    HeadPlane,
    HeadSizes,
    PixelOrigin,
    Result,
    Scale,
    Status,
)
from worker.scan import Region, Scan

PLANE_GATE, PLANE_MANUAL = "gate", "manual"
"""Whose word the plane is."""


@dataclass(frozen=True, slots=True)
class RegionHead:
    """The head that was found in a region, in pixels of the whole image."""

    region: Region
    head: Measurement


def conclude(
    scan: Scan,
    heads: Sequence[RegionHead],
    model: str,
    ga_formula: str,
    *,
    any_plane: bool = False,
) -> Result:
    """Return the scan's result; of several heads the most confident one counts.

    ``any_plane``: a person vouches for head and plane, which the row then says.
    """
    result = about(scan, model)
    unscaled = all(region.spacing is None for region in scan.regions)
    if not heads:
        result = _with_scale(result, scan.regions)
        return _refused(result, SpacingUnknown() if unscaled else NoHead())
    chosen = max(heads, key=lambda found: (not found.head.is_no_head, found.head.confidence))
    result = _with_head(result, chosen, any_plane=any_plane)
    if chosen.head.is_no_head:
        return _refused(result, OtherAnatomy(_seems(chosen.head.plane)))
    if unscaled:
        return _refused(result, SpacingUnknown())
    try:
        region = region_of_head(scan.regions, chosen.head.ellipse.bounding_box_px())
    except HcBatchError as error:
        return _refused(result, error)
    others = _other_heads(heads, chosen.head)
    flags = tuple(dict.fromkeys((*scan.flags, *region.flags, *chosen.head.flags, *others)))
    return replace(
        result,
        status=Status.FLAGGED if flags else Status.MEASURED,
        sizes=_sizes(chosen.head, ga_formula),
        ellipse=replace(result.ellipse, flags=flags),
    )


def _seems(plane: Plane | None) -> str:
    bodies = (Plane.ABDOMEN, Plane.THORAX, Plane.FEMUR)
    return f"it seems to be a fetal {plane}" if plane in bodies else ""


def refusal(error: HcBatchError, model: str) -> Result:
    """Return the result of a file that could not be read."""
    return _refused(Result(Status.REJECTED, model), error)


def about(scan: Scan, model: str) -> Result:
    """Return what the file alone tells, as a rejected scan without a code."""
    rows, columns = scan.pixels.shape
    return Result(
        status=Status.REJECTED,
        model=model,
        file=FileIdentity(scan.sop_instance_uid, scan.study_instance_uid, scan.sha256),
        origin=PixelOrigin(decoder=scan.decoder, rows=rows, columns=columns),
        exam=scan.exam,
    )


def _refused(result: Result, error: HcBatchError) -> Result:
    status = Status.FAILED if isinstance(error, ScanFailed) else Status.REJECTED
    return replace(result, status=status, code=error.code, message=str(error))


def _sizes(head: Measurement, ga_formula: str) -> HeadSizes:
    weeks = FORMULAS[ga_formula](head.hc_mm) if head.hc_mm else None
    return HeadSizes(
        hc_mm=head.hc_mm,
        hc_low_mm=head.hc_low_mm,
        hc_high_mm=head.hc_high_mm,
        bpd_mm=head.bpd_mm,
        ofd_mm=head.ofd_mm,
        ga_weeks=weeks,
        ga_formula=ga_formula if head.hc_mm else None,
    )


def _other_heads(heads: Sequence[RegionHead], chosen: Measurement) -> tuple[Flag, ...]:
    """Return a flag where another region shows a head elsewhere, not the same one again."""
    for other in heads:
        apart_px = other.head.ellipse.center_px - chosen.ellipse.center_px
        if float(apart_px @ apart_px) > chosen.ellipse.semi_axis_a_px**2:
            return (Flag.SEVERAL_HEADS,)
    return ()


def _with_scale(result: Result, regions: tuple[Region, ...]) -> Result:
    """Add the scale of a scan without a head, where its regions leave no doubt about it."""
    first = regions[0]
    if len({region.spacing for region in regions}) > 1:
        return result
    return _with_region(result, first) if len(regions) == 1 else _with_spacing(result, first)


def _with_spacing(result: Result, region: Region) -> Result:
    spacing = region.spacing
    return replace(
        result,
        scale=Scale(
            row_mm=spacing.row_mm if spacing else None,
            column_mm=spacing.column_mm if spacing else None,
            spacing_source=region.spacing_source,
        ),
    )


def _with_region(result: Result, region: Region) -> Result:
    box = region.box
    origin = replace(
        result.origin,
        region_index=region.index,
        region_box=f"{box.left},{box.top},{box.right},{box.bottom}",
        delta_x_cm=region.delta_x_cm,
        delta_y_cm=region.delta_y_cm,
    )
    return replace(_with_spacing(result, region), origin=origin)


def _with_head(result: Result, found: RegionHead, *, any_plane: bool) -> Result:
    ellipse, plane = found.head.ellipse, found.head.plane
    source = None if plane is None else PLANE_GATE
    return replace(
        _with_region(result, found.region),
        ellipse=HeadEllipse(
            center_x_px=ellipse.center_x_px,
            center_y_px=ellipse.center_y_px,
            semi_axis_a_px=ellipse.semi_axis_a_px,
            semi_axis_b_px=ellipse.semi_axis_b_px,
            angle_rad=ellipse.angle_rad,
            confidence=found.head.confidence,
        ),
        head_plane=HeadPlane(
            plane=plane,
            plane_confidence=found.head.plane_confidence,
            plane_source=PLANE_MANUAL if any_plane else source,
        ),
    )
