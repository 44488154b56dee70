"""What is known of a scan once it was measured or refused: the middle part of a results row."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """Where a scan stands. The first four are ends that a measurement reaches."""

    MEASURED = "measured"
    FLAGGED = "flagged"
    REJECTED = "rejected"
    FAILED = "failed"
    DUPLICATE = "duplicate"
    QUEUED = "queued"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Result:
    """One scan's outcome. Unknown is ``None``, never 0 or 1.

    ``hc_low_mm`` to ``hc_high_mm`` is the 90 % interval of HC, where the weights' card allows one.
    ``flags`` says why a person must look. Pixels are the original image's, ``angle_rad`` turns
    the x axis (right) towards y (down) onto semi-axis a. ``delta_x_cm``, ``delta_y_cm`` are the
    region's raw PhysicalDeltaX and PhysicalDeltaY; their unit is always cm where a scale is taken.
    """

    status: Status
    model: str
    code: str | None = None
    message: str | None = None
    hc_mm: float | None = None
    hc_low_mm: float | None = None
    hc_high_mm: float | None = None
    bpd_mm: float | None = None
    ofd_mm: float | None = None
    ga_weeks: float | None = None
    ga_formula: str | None = None
    row_mm: float | None = None
    column_mm: float | None = None
    spacing_source: str | None = None
    region_index: int | None = None
    region_box: str | None = None
    delta_x_cm: float | None = None
    delta_y_cm: float | None = None
    center_x_px: float | None = None
    center_y_px: float | None = None
    semi_axis_a_px: float | None = None
    semi_axis_b_px: float | None = None
    angle_rad: float | None = None
    confidence: float | None = None
    flags: tuple[str, ...] = ()
    decoder: str | None = None
    rows: int | None = None
    columns: int | None = None
    sop_instance_uid: str | None = None
    study_instance_uid: str | None = None
    sha256: str | None = None
