"""A row as objects tell it: its numbers, the image it was measured on, and what nobody knows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from hcmodel.flags import meaning_of
from hcmodel.geometry import Ellipse, Spacing
from worker.columns import flattened
from worker.reports.pictures.annotated import marks_of
from worker.scan import ImageReference
from worker.store.rows import ReportRow

MANUFACTURER = "hc-batch"
DEVICE = "hc-batch"
SCHEME = "99HCBATCH"
"""The coding scheme of our own, for what no standard has a code for."""

STATEMENT = (
    "Research use only, not a medical device. Unverified and preliminary: an algorithm measured, "
    "and nobody has confirmed it."
)
UNKNOWN = (
    "Not known to the instrument: which fetus it is, the gestational age from other sources, "
    "whether head and plane were chosen as a guideline asks, and everything outside this image."
)

# With the next form of objects another number: what changes may not keep its UID.
_FORM = 1
_OF_THE_MEASUREMENT = (
    *("hc_mm", "hc_low_mm", "hc_high_mm", "bpd_mm", "ofd_mm", "ga_weeks", "ga_formula"),
    *("row_mm", "column_mm", "spacing_source", "center_x_px", "center_y_px", "semi_axis_a_px"),
    *("semi_axis_b_px", "angle_rad", "confidence", "flags", "sop_instance_uid", "sha256"),
    *("study_instance_uid", "frame", "model", "measured_at", "plane"),
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One head with its HC; ``image`` is what objects refer to, ``None`` where it is no DICOM.

    ``patient`` is the source's patient and study module by keyword, empty unless asked for.
    """

    row: ReportRow
    hc_mm: float
    spacing: Spacing
    ellipse: Ellipse
    model: str
    measured_at: datetime
    image: ImageReference | None = None

    @property
    def identity(self) -> str:
        """A digest of all that objects say, the same for the same measurement in any ledger."""
        said = flattened(self.row)
        facts = [_FORM, *(said[name] for name in _OF_THE_MEASUREMENT), self.patient]
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    @property
    def patient(self) -> dict[str, str]:
        """The source's patient and study module, where it was asked for."""
        return {} if self.image is None else self.image.patient

    @property
    def interval(self) -> str:
        """The interval in words."""
        low_mm, high_mm = self.row.sizes.hc_low_mm, self.row.sizes.hc_high_mm
        if low_mm is None or high_mm is None:
            return "No interval is known."
        return f"90 % interval of HC: {low_mm:.1f} to {high_mm:.1f} mm."

    @property
    def doubts(self) -> str:
        """Why a person should look, in words; empty where there is no flag."""
        flags = self.row.ellipse.flags
        return " ".join(f"Flag {flag}: {meaning_of(flag)}." for flag in flags)

    @property
    def comment(self) -> str:
        """All that must be said beside the numbers, on one line."""
        parts = (STATEMENT, self.interval, self.doubts, UNKNOWN)
        return " ".join(filter(None, parts))


def measurement_of(row: ReportRow, image: ImageReference | None = None) -> Measurement | None:
    """Return what there is to tell, or ``None`` for a row without an HC in millimetres."""
    ellipse, spacing = marks_of(row).ellipse, row.scale.spacing
    if (
        row.sizes.hc_mm is None
        or ellipse is None
        or spacing is None
        or row.model is None
        or row.measured_at is None
    ):
        return None
    return Measurement(row, row.sizes.hc_mm, spacing, ellipse, row.model, row.measured_at, image)
