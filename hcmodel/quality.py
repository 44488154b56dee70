"""Judges a measurement: how sure it is, and why a person should look."""

from __future__ import annotations

import math

from hcmodel.ellipse_fit import HeadFit
from hcmodel.flags import Flag
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.head import Head
from hcmodel.uncertainty import Doubt

HC_RANGE_MM = (40.0, 400.0)
"""From 10 weeks to beyond term; HC18 spans 44 to 346 mm."""
MIN_AXIS_RATIO = 0.60
"""HC18 spans 0.66 to 0.96."""
MAX_BORDER_SHARE = 0.10
MIN_MAIN_SHARE = 0.90
MIN_SUPPORT = 0.55
"""Below it what was segmented is not called a head."""
TRUSTED_SUPPORT = 0.75
"""In each look; 1 to 2 % of HC18's heads stay below it, and all that is taken for one wrongly."""
MAX_DISAGREEMENT = 0.045
"""Of the circumference, from look to look; 1 % of HC18's heads are above it."""
_LEAST = 1e-3


def support(fit: HeadFit) -> float:
    """0 to 1: how well map, ellipse and level line agree, and how decided the network is."""
    return fit.agreement * max(0.0, 1 - 4 * fit.residual) * math.sqrt(fit.sharpness)


def is_convincing(fit: HeadFit) -> bool:
    """Whether what was segmented may be called a head at all."""
    return support(fit) >= MIN_SUPPORT


def signals_of(head: Head, spacing: Spacing | None) -> tuple[float | None, ...]:
    """What the doubt of a head is read from; logarithms, since errors grow by factors."""
    fit = head.last
    signals = (
        math.log(fit.residual + _LEAST),
        math.log(1 - fit.agreement + _LEAST),
        math.log(1 - fit.sharpness + _LEAST),
        fit.border_share,
        1 - fit.main_share,
        _axis_ratio(head.ellipse, spacing),
        None if spacing is None else math.log(head.ellipse.circumference_mm(spacing)),
        math.log(head.disagreement + _LEAST),
    )
    if head.outline is None:
        return signals
    return (
        *signals,
        math.log(head.correction + _LEAST),
        math.log(head.outline.residual + _LEAST),
    )


def confidence(head: Head, spacing: Spacing | None, doubt: Doubt | None) -> float:
    """Probability that HC is off by at most 3 mm; the support where there is no doubt to ask."""
    return support(head.last) if doubt is None else doubt.confidence(signals_of(head, spacing))


def judge(head: Head, spacing: Spacing | None, doubt: Doubt | None) -> tuple[Flag, ...]:
    """Reasons to look at a head's measurement, none for a trusted one."""
    fit = head.last
    hc_mm = None if spacing is None else head.ellipse.circumference_mm(spacing)
    looks = [look for look in (head.whole, head.near) if look is not None]
    unsure = min(map(support, looks)) < TRUSTED_SUPPORT
    if doubt is not None:
        unsure |= confidence(head, spacing, doubt) < doubt.min_confidence
    reasons = {
        Flag.CUT_BY_BORDER: fit.border_share > MAX_BORDER_SHARE,
        Flag.FRAGMENTED_MASK: fit.main_share < MIN_MAIN_SHARE,
        Flag.IMPLAUSIBLE_HC: hc_mm is not None and not HC_RANGE_MM[0] <= hc_mm <= HC_RANGE_MM[1],
        Flag.IMPLAUSIBLE_SHAPE: _axis_ratio(head.ellipse, spacing) < MIN_AXIS_RATIO,
        Flag.LOOKS_DIFFER: max(head.disagreement, head.correction) > MAX_DISAGREEMENT,
        Flag.LOW_CONFIDENCE: unsure,
    }
    return tuple(flag for flag, holds in reasons.items() if holds)


def _axis_ratio(ellipse: Ellipse, spacing: Spacing | None) -> float:
    """b/a as the head has it; as the image shows it where pixels have no known size."""
    if spacing is None:
        return ellipse.semi_axis_b_px / ellipse.semi_axis_a_px
    major_mm, minor_mm = ellipse.semi_axes_mm(spacing)
    return minor_mm / major_mm
