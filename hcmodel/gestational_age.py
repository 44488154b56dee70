"""Gestational age from HC, by two published standards; the one used is named in every row."""

from __future__ import annotations

import math
from collections.abc import Callable

HADLOCK_1984 = "hadlock-1984"
INTERGROWTH_2016 = "intergrowth-2016"

EARLY, MIDDLE, LATE = "below 14 weeks", "14-28 weeks", "above 28 weeks"

HADLOCK_VALID_MM = (68.0, 360.0)


def hadlock_1984_weeks(hc_mm: float) -> float | None:
    """Return weeks by Hadlock et al., Radiology 152:497 (1984); ``None`` outside 68-360 mm."""
    if not HADLOCK_VALID_MM[0] <= hc_mm <= HADLOCK_VALID_MM[1]:
        return None
    hc_cm = hc_mm / 10
    return 8.96 + 0.540 * hc_cm + 0.0003 * hc_cm**3


def intergrowth_2016_weeks(hc_mm: float) -> float | None:
    """Return weeks by INTERGROWTH-21st, Ultrasound Obstet Gynecol 48:719 (2016).

    ``None`` outside 55-360 mm, where the study (9 to 42 weeks) has no heads.
    """
    if not 55 <= hc_mm <= 360:
        return None
    days = math.exp(0.05970 * math.log(hc_mm) ** 2 + 6.409e-9 * hc_mm**3 + 3.3258)
    return days / 7


FORMULAS: dict[str, Callable[[float], float | None]] = {
    HADLOCK_1984: hadlock_1984_weeks,
    INTERGROWTH_2016: intergrowth_2016_weeks,
}


def trimester(hc_mm: float) -> str:
    """Return ``EARLY``, ``MIDDLE`` or ``LATE``, by Hadlock's curve without its limits."""
    hc_cm = hc_mm / 10
    return trimester_at(8.96 + 0.540 * hc_cm + 0.0003 * hc_cm**3)


def trimester_at(ga_weeks: float) -> str:
    """Return ``EARLY``, ``MIDDLE`` or ``LATE`` for a known age."""
    if ga_weeks < 14:
        return EARLY
    return MIDDLE if ga_weeks <= 28 else LATE
