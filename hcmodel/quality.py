"""Judges a measurement: how sure it is, and why a person should look.

The flags are part of the product's contract: a row with any of them is ``flagged``.
"""

from __future__ import annotations

import math

from hcmodel.fit import HeadFit

CUT_BY_BORDER = "cut-by-border"
FRAGMENTED_MASK = "fragmented-mask"
IMPLAUSIBLE_HC = "implausible-hc"
IMPLAUSIBLE_SHAPE = "implausible-shape"
LOW_CONFIDENCE = "low-confidence"
SEVERAL_HEADS = "several-heads"

HC_RANGE_MM = (40.0, 400.0)
"""From 10 weeks to beyond term; HC18 spans 44 to 346 mm."""
MIN_AXIS_RATIO = 0.60
"""HC18 spans 0.66 to 0.96."""
MAX_BORDER_SHARE = 0.10
MIN_MAIN_SHARE = 0.90
MIN_CONFIDENCE = 0.75
"""On unseen exams of HC18 fewer than 5 in 100 heads lie below, the two worst errors among them."""
MIN_CONFIDENCE_OF_A_HEAD = 0.55


def confidence(fit: HeadFit) -> float:
    """0 to 1: how well map, ellipse and level line agree, and how decided the network is."""
    return fit.agreement * max(0.0, 1 - 4 * fit.residual) * math.sqrt(fit.sharpness)


def is_head(fit: HeadFit) -> bool:
    """Whether what was segmented may be called a head at all."""
    return confidence(fit) >= MIN_CONFIDENCE_OF_A_HEAD


def judge(fit: HeadFit, hc_mm: float | None) -> tuple[str, ...]:
    """Reasons to look at a head's measurement, none for a trusted one."""
    reasons = {
        CUT_BY_BORDER: fit.border_share > MAX_BORDER_SHARE,
        FRAGMENTED_MASK: fit.main_share < MIN_MAIN_SHARE,
        IMPLAUSIBLE_HC: hc_mm is not None and not HC_RANGE_MM[0] <= hc_mm <= HC_RANGE_MM[1],
        IMPLAUSIBLE_SHAPE: fit.ellipse.semi_axis_b_px < MIN_AXIS_RATIO * fit.ellipse.semi_axis_a_px,
        LOW_CONFIDENCE: confidence(fit) < MIN_CONFIDENCE,
    }
    return tuple(flag for flag, holds in reasons.items() if holds)
