"""Judges a measurement: how sure it is, and why a person should look."""

from __future__ import annotations

import math

from hcmodel.ellipse_fit import HeadFit
from hcmodel.flags import Flag
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.head import Head
from hcmodel.uncertainty import ErrorModel, Feature, tolerance_mm

HC_RANGE_MM = (40.0, 400.0)
"""From 10 weeks to beyond term; HC18 spans 44 to 346 mm."""
MIN_AXIS_RATIO = 0.60
"""HC18 spans 0.66 to 0.96."""
MAX_BORDER_SHARE = 0.20
"""Of the outline: beyond it, too much of the skull is a guess of the ellipse. 45 heads of another
hospital, cropped by as much on one side, came out 1.0 % smaller on average and 2.2 % at most; with
30 %, 5.3 %. A tenth of an ellipse's area is cut off with 26 % of its outline."""
MIN_LARGEST_COMPONENT_SHARE = 0.90
"""Below it, something else of some size was segmented as well."""
MIN_FIT_SCORE = 0.55
"""Below it what was segmented is not called a head."""
TRUSTED_FIT_SCORE = 0.75
"""In each map; 1 to 2 % of HC18's heads stay below it, and all that is taken for one wrongly."""
MAX_DISAGREEMENT = 0.045
"""Of the circumference, from stage to stage; 1 % of HC18's heads are above it."""
RESIDUAL_OF_NO_ELLIPSE = 0.25
"""Share of the mean semi-axis: a level line that far from its ellipse scores nothing. What the
shipped card has as the mean of heads, 0.010, costs 4 % of the score."""
_LEAST = 1e-3
"""Keeps logarithms of what may be zero finite; below most of what is seen."""


def fit_score(fit: HeadFit) -> float:
    """Return 0 to 1: how well map, ellipse and level line agree, and how sure the network is."""
    straight = max(0.0, 1 - fit.residual / RESIDUAL_OF_NO_ELLIPSE)
    return fit.soft_dice * straight * math.sqrt(fit.sharpness)


def is_convincing(fit: HeadFit) -> bool:
    """Return whether what was segmented may be called a head at all."""
    return fit.ellipse.is_proper and fit_score(fit) >= MIN_FIT_SCORE


def quality_features(head: Head, spacing: Spacing | None) -> dict[str, float | None]:
    """Return what the error model reads, by name; ``None`` is unknown.

    HC is unknown without ``spacing``, the contour's features where there is no contour.
    """
    fit, contour = head.last, head.contour
    hc_mm = None if spacing is None else head.ellipse.circumference_mm(spacing)
    return {
        Feature.LOG_RESIDUAL: math.log(fit.residual + _LEAST),
        Feature.LOG_DICE_LOSS: math.log(1 - fit.soft_dice + _LEAST),
        Feature.LOG_BLUR: math.log(1 - fit.sharpness + _LEAST),
        Feature.BORDER_SHARE: fit.border_share,
        Feature.OTHER_COMPONENTS_SHARE: 1 - fit.largest_component_share,
        Feature.AXIS_RATIO: _axis_ratio(head.ellipse, spacing),
        Feature.LOG_HC_MM: math.log(hc_mm) if hc_mm else None,
        Feature.LOG_DISAGREEMENT: math.log(head.disagreement + _LEAST),
        Feature.LOG_CORRECTION: math.log(head.correction + _LEAST) if contour else None,
        Feature.LOG_CONTOUR_RESIDUAL: math.log(contour.residual + _LEAST) if contour else None,
    }


def confidence(head: Head, spacing: Spacing | None, error_model: ErrorModel | None) -> float:
    """Return the probability that HC is off by at most 3 mm; without a model, the fit's score."""
    if error_model is None:
        return fit_score(head.last)
    return error_model.confidence(quality_features(head, spacing))


def judge(head: Head, spacing: Spacing | None, error_model: ErrorModel | None) -> tuple[Flag, ...]:
    """Return the reasons to look at a head's measurement, none for a trusted one."""
    fit = head.last
    maps = [stage for stage in (head.whole, head.zoomed) if stage is not None]
    hc_mm = None if spacing is None else head.ellipse.circumference_mm(spacing)
    reasons = {
        Flag.CUT_BY_BORDER: max(fit.border_share, head.beyond_share) > MAX_BORDER_SHARE,
        Flag.FRAGMENTED_MASK: fit.largest_component_share < MIN_LARGEST_COMPONENT_SHARE,
        Flag.IMPLAUSIBLE_HC: hc_mm is not None and not HC_RANGE_MM[0] <= hc_mm <= HC_RANGE_MM[1],
        Flag.IMPLAUSIBLE_SHAPE: _axis_ratio(head.ellipse, spacing) < MIN_AXIS_RATIO,
        Flag.LOOKS_DIFFER: max(head.disagreement, head.correction) > MAX_DISAGREEMENT,
        Flag.LOW_CONFIDENCE: _may_be_off(head, spacing, error_model),
        Flag.WEAK_FIT: min(map(fit_score, maps)) < TRUSTED_FIT_SCORE,
        Flag.GREY_INVERTED: head.is_inverted,
        Flag.GREY_LEVELS: head.is_squeezed,
    }
    return tuple(flag for flag, holds in reasons.items() if holds)


def _may_be_off(head: Head, spacing: Spacing | None, error_model: ErrorModel | None) -> bool:
    """Return whether an error beyond what people differ by is too likely."""
    if error_model is None:
        return False
    hc_mm = None if spacing is None else head.ellipse.circumference_mm(spacing)
    features = quality_features(head, spacing)
    return error_model.within(features, tolerance_mm(hc_mm)) < error_model.min_confidence


def _axis_ratio(ellipse: Ellipse, spacing: Spacing | None) -> float:
    """b/a as the head has it; as the image shows it where pixels have no known size."""
    if spacing is None:
        return ellipse.semi_axis_b_px / ellipse.semi_axis_a_px
    major_mm, minor_mm = ellipse.semi_axes_mm(spacing)
    return minor_mm / major_mm if major_mm > 0 else 0.0
