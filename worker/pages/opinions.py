"""A review's form, read with suspicion: verdict, reason, and a person's ellipse."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, fields

from hcmodel.geometry import Ellipse
from worker.errors import ReviewInvalid
from worker.store.reviews import REASONS, HumanMeasurement, Review, Verdict
from worker.store.rows import ReportRow

ELLIPSE = tuple(field.name for field in fields(Ellipse))
_REQUEST_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")


def review_of(row: ReportRow, reviewer: str, given: Mapping[str, str]) -> Review:
    """Return what a form says of a row; a corrected ellipse is measured here, not by the browser.

    Raises ``ReviewInvalid``.
    """
    if row.model is None:
        raise ReviewInvalid("this scan has not been looked at yet")
    try:
        verdict = Verdict(given.get("verdict", ""))
    except ValueError:
        raise ReviewInvalid(f"the verdict is one of {', '.join(Verdict)}") from None
    reason = given.get("reason") or None
    if verdict is Verdict.REJECTED and reason not in REASONS:
        raise ReviewInvalid(f"the reason is one of {', '.join(REASONS)}")
    if verdict is Verdict.ACCEPTED and row.sizes.hc_mm is None:
        raise ReviewInvalid("there is no HC that could be accepted")
    return Review(
        scan_id=row.scan_id,
        reviewer=reviewer,
        verdict=verdict,
        model=row.model,
        reason=reason if verdict is Verdict.REJECTED else None,
        measurement=_measured(row, given) if verdict is Verdict.CORRECTED else None,
    )


def request_key_of(given: Mapping[str, str]) -> str:
    """Return the form's own key, by which it is stored once. Raises ``ReviewInvalid``."""
    key = given.get("request_key", "")
    if _REQUEST_KEY.fullmatch(key) is None:
        raise ReviewInvalid("request_key is 8 to 64 letters, digits, - or _")
    return key


def _measured(row: ReportRow, given: Mapping[str, str]) -> HumanMeasurement:
    ellipse = _ellipse(row, given)
    hc_mm = bpd_mm = ofd_mm = None
    if (spacing := row.scale.spacing) is not None:
        major_mm, minor_mm = ellipse.semi_axes_mm(spacing)
        hc_mm, ofd_mm, bpd_mm = ellipse.circumference_mm(spacing), 2 * major_mm, 2 * minor_mm
    return HumanMeasurement(**asdict(ellipse), hc_mm=hc_mm, bpd_mm=bpd_mm, ofd_mm=ofd_mm)


def _ellipse(row: ReportRow, given: Mapping[str, str]) -> Ellipse:
    """Return a proper ellipse whose centre lies in the image; the longer axis is ``a``."""
    try:
        x_px, y_px, a_px, b_px, angle_rad = (float(given.get(name, "")) for name in ELLIPSE)
    except ValueError:
        raise ReviewInvalid(f"a correction has numbers {', '.join(ELLIPSE)}") from None
    if not all(map(math.isfinite, (x_px, y_px, a_px, b_px, angle_rad))):
        raise ReviewInvalid("the ellipse is no ellipse")
    if a_px < b_px:
        a_px, b_px, angle_rad = b_px, a_px, angle_rad + math.pi / 2
    ellipse = Ellipse(x_px, y_px, a_px, b_px, angle_rad % math.pi)
    rows, columns = row.origin.rows or 0, row.origin.columns or 0
    if not (
        ellipse.is_proper
        and b_px >= 1
        and a_px <= 2 * max(rows, columns)
        and 0 <= x_px <= columns
        and 0 <= y_px <= rows
    ):
        raise ReviewInvalid("the ellipse does not lie in the image")
    return ellipse
