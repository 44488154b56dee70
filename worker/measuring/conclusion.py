"""What a scan comes to, once every region was looked at: an HC, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hcmodel.flags import Flag
from hcmodel.gestational_age import FORMULAS
from hcmodel.measurement import Measurement
from worker.errors import HcBatchError, NoHead, ScanFailed, SpacingUnknown
from worker.reading.spacing import region_of_head
from worker.result import Result, Status
from worker.scan import Region, Scan

Head = tuple[Region, Measurement]
"""A region and the head that was found in it, in pixels of the whole image."""


def conclude(scan: Scan, heads: Sequence[Head], model: str, ga_formula: str) -> Result:
    """The result of a scan; of several heads the most confident one counts."""
    known = about(scan, model)
    unscaled = all(region.spacing is None for region in scan.regions)
    if not heads:
        known = _with_scale(known, scan.regions)
        return _refused(known, SpacingUnknown() if unscaled else NoHead())
    region, head = max(heads, key=lambda pair: pair[1].confidence)
    known = _with_head(known, region, head)
    if unscaled:
        return _refused(known, SpacingUnknown())
    try:
        region = region_of_head(scan.regions, head.ellipse.bounding_box_px())
    except HcBatchError as error:
        return _refused(known, error)
    doubts = (*scan.flags, *region.flags, *head.flags, *_other_heads(heads, head))
    weeks = FORMULAS[ga_formula](head.hc_mm) if head.hc_mm else None
    return replace(
        known,
        status=Status.FLAGGED if doubts else Status.MEASURED,
        flags=tuple(dict.fromkeys(doubts)),
        hc_mm=head.hc_mm,
        hc_low_mm=head.hc_low_mm,
        hc_high_mm=head.hc_high_mm,
        bpd_mm=head.bpd_mm,
        ofd_mm=head.ofd_mm,
        ga_weeks=weeks,
        ga_formula=ga_formula if weeks else None,
    )


def refusal(error: HcBatchError, model: str) -> Result:
    """The result of a file that could not be read."""
    return _refused(Result(Status.REJECTED, model), error)


def about(scan: Scan, model: str) -> Result:
    """What the file alone tells."""
    return Result(
        status=Status.REJECTED,
        model=model,
        decoder=scan.decoder,
        rows=scan.pixels.shape[0],
        columns=scan.pixels.shape[1],
        sop_instance_uid=scan.sop_instance_uid,
        study_instance_uid=scan.study_instance_uid,
        sha256=scan.sha256,
    )


def _refused(known: Result, error: HcBatchError) -> Result:
    status = Status.FAILED if isinstance(error, ScanFailed) else Status.REJECTED
    return replace(known, status=status, code=error.code, message=str(error))


def _other_heads(heads: Sequence[Head], chosen: Measurement) -> tuple[Flag, ...]:
    """A flag where another region shows a head elsewhere, not the same one again."""
    for _, other in heads:
        apart_px = other.ellipse.center_px - chosen.ellipse.center_px
        if float(apart_px @ apart_px) > chosen.ellipse.semi_axis_a_px**2:
            return (Flag.SEVERAL_HEADS,)
    return ()


def _with_scale(known: Result, regions: tuple[Region, ...]) -> Result:
    """The scale of a scan without a head, where its regions leave no doubt about it."""
    region = regions[0]
    if len({each.spacing for each in regions}) > 1:
        return known
    return _with_region(known, region) if len(regions) == 1 else _with_spacing(known, region)


def _with_spacing(known: Result, region: Region) -> Result:
    spacing = region.spacing
    return replace(
        known,
        row_mm=spacing.row_mm if spacing else None,
        column_mm=spacing.column_mm if spacing else None,
        spacing_source=region.spacing_source,
    )


def _with_region(known: Result, region: Region) -> Result:
    box = region.box
    return replace(
        _with_spacing(known, region),
        region_index=region.index,
        region_box=f"{box.left},{box.top},{box.right},{box.bottom}",
        delta_x_cm=region.delta_x_cm,
        delta_y_cm=region.delta_y_cm,
    )


def _with_head(known: Result, region: Region, head: Measurement) -> Result:
    ellipse = head.ellipse
    return replace(
        _with_region(known, region),
        center_x_px=ellipse.center_x_px,
        center_y_px=ellipse.center_y_px,
        semi_axis_a_px=ellipse.semi_axis_a_px,
        semi_axis_b_px=ellipse.semi_axis_b_px,
        angle_rad=ellipse.angle_rad,
        confidence=head.confidence,
    )
