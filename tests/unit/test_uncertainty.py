"""An error model that is fitted to errors of known scale must say that scale again."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hcmodel.dataset.hc18 import LabelledImage
from hcmodel.ellipse_fit import HeadFit
from hcmodel.evaluation.calibration import Judged, fit_error_model, scaled, unbiased_scale
from hcmodel.flags import Flag
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.head import Head
from hcmodel.model_card import Card
from hcmodel.polar import Contour
from hcmodel.quality import confidence, judge, quality_features
from hcmodel.uncertainty import ErrorModel, Feature, tolerance_mm
from hcmodel.unet_config import UNetConfig

PLAIN = ErrorModel(
    features=(Feature.LOG_RESIDUAL,),
    means=(0.0,),
    deviations=(1.0,),
    weights=(1.0,),
    bias=0.0,
    ratios=(0.0, 1.0, 2.0, 4.0, 8.0),
    interval_ratio=3.0,
    min_confidence=0.5,
)

SPACING = Spacing(1, 1)


def test_an_expected_error_becomes_interval_and_confidence() -> None:
    twice = {Feature.LOG_RESIDUAL: math.log(2.0)}
    assert PLAIN.expected_error_mm(twice) == pytest.approx(2.0)
    assert PLAIN.half_width_mm(twice) == pytest.approx(6.0)
    # 3 mm are 1.5 expected errors: halfway from the first to the second quartile.
    assert PLAIN.confidence(twice) == pytest.approx(0.375)
    assert PLAIN.confidence({Feature.LOG_RESIDUAL: math.log(0.1)}) == 1.0
    for unknown in ({}, {Feature.LOG_RESIDUAL: None}, {Feature.LOG_RESIDUAL: math.nan}):
        assert PLAIN.expected_error_mm(unknown) == pytest.approx(1.0)
    for far in (100.0, math.inf):
        assert PLAIN.expected_error_mm({Feature.LOG_RESIDUAL: far}) == pytest.approx(math.exp(4.0))


def head(residual: float, error_mm: float) -> Judged:
    image = LabelledImage(Path("001_HC.png"), Path("001_HC_Annotation.png"), SPACING, 200.0)
    fit = HeadFit(Ellipse(0, 0, 40, 30, 0), residual, 0.0, 1.0, 0.95, 0.9)
    return Judged(image, Head(fit), 200.0 + error_mm)


def folds(seed: int) -> list[list[Judged]]:
    """Errors of a Laplace distribution whose scale is 200 mm times the residual."""
    rng = np.random.default_rng(seed)
    residuals = np.exp(rng.uniform(math.log(0.002), math.log(0.05), 1000))
    heads = [head(each, rng.laplace(0, 200 * each)) for each in residuals]
    return [heads[start::5] for start in range(5)]


def test_the_fit_finds_what_the_errors_follow() -> None:
    model = fit_error_model(folds(1))
    for residual in (0.004, 0.02):
        expected_mm = model.expected_error_mm(head(residual, 0).features)
        assert expected_mm == pytest.approx(200 * residual, rel=0.25)
    unseen = [each for fold in folds(2) for each in fold]
    covered = [abs(each.error_mm) <= model.half_width_mm(each.features) for each in unseen]
    assert np.mean(covered) == pytest.approx(0.9, abs=0.03)
    confidences = np.array([model.confidence(each.features) for each in unseen])
    within = np.array([abs(each.error_mm) <= 3 for each in unseen])
    for low, high in ((0.0, 0.5), (0.5, 0.9), (0.9, 1.01)):
        chosen = (confidences >= low) & (confidences < high)
        assert within[chosen].mean() == pytest.approx(confidences[chosen].mean(), abs=0.08)
    tolerable = np.array([model.within(each.features, tolerance_mm(each.hc_mm)) for each in unseen])
    flagged = np.mean(tolerable < model.min_confidence)
    assert flagged == pytest.approx(0.03, abs=0.02)


def test_one_fold_is_too_few() -> None:
    with pytest.raises(ValueError, match="two folds"):
        fit_error_model(folds(1)[:1])


def test_a_head_below_the_least_confidence_is_flagged() -> None:
    model = fit_error_model(folds(1))
    sure, unsure = head(0.002, 0).head, head(0.05, 0).head
    assert Flag.LOW_CONFIDENCE not in judge(sure, SPACING, model)
    assert Flag.LOW_CONFIDENCE in judge(unsure, SPACING, model)
    assert model.confidence(quality_features(sure, None)) > model.confidence(
        quality_features(unsure, None)
    )


def test_an_error_model_changes_the_instruments_name() -> None:
    card = Card("net", "a" * 64, UNetConfig(), "hc18")
    names = {card.model, replace(card, doubt=PLAIN).model}
    names.add(replace(card, doubt=replace(PLAIN, bias=0.1)).model)
    assert len(names) == 3


def test_a_scale_takes_the_bias_away() -> None:
    both = [[head(0.01, error_mm)] for error_mm in (-4.0, -2.0)]
    scale = unbiased_scale(both)
    assert scale == pytest.approx(400 / 394, abs=1e-5)
    assert sum(each.error_mm for fold in both for each in scaled(fold, scale)) == pytest.approx(
        0, abs=0.01
    )


def test_the_shape_is_judged_in_millimetres() -> None:
    narrow = Head(HeadFit(Ellipse(0, 0, 40, 20, 0), 0.005, 0.0, 1.0, 0.97, 0.9))
    assert Flag.IMPLAUSIBLE_SHAPE in judge(narrow, SPACING, None)
    assert Flag.IMPLAUSIBLE_SHAPE in judge(narrow, None, None)
    assert judge(narrow, Spacing(row_mm=1.6, column_mm=1.0), None) == ()


def test_two_looks_must_agree_and_both_convince() -> None:
    near = HeadFit(Ellipse(0, 0, 40, 30, 0), 0.005, 0.0, 1.0, 0.97, 0.9)
    like = replace(near, ellipse=Ellipse(0, 0, 41, 30, 0))
    assert judge(Head(like, near), SPACING, None) == ()
    larger = replace(near, ellipse=Ellipse(0, 0, 43, 32, 0))
    assert judge(Head(larger, near), SPACING, None) == (Flag.LOOKS_DIFFER,)
    vague = replace(like, soft_dice=0.8)
    for looks in ((vague, near), (near, vague)):
        assert judge(Head(*looks), SPACING, None) == (Flag.WEAK_FIT,)
    sure = replace(PLAIN, weights=(0.0,))
    assert judge(Head(vague, near), SPACING, replace(sure, min_confidence=0.0)) == (Flag.WEAK_FIT,)


def test_a_late_head_may_be_off_by_a_share_of_it() -> None:
    late = Head(HeadFit(Ellipse(0, 0, 60, 50, 0), 0.005, 0.0, 1.0, 0.97, 0.9))
    early = Head(replace(late.whole, ellipse=Ellipse(0, 0, 30, 25, 0)))
    # 2 mm are expected: 3 mm of the one are 1.5 times as much, 2 % of the other 3.5 times.
    model = replace(PLAIN, weights=(0.0,), bias=math.log(2.0), min_confidence=0.5)
    assert judge(early, SPACING, model) == (Flag.LOW_CONFIDENCE,)
    assert judge(late, SPACING, model) == ()
    assert confidence(late, SPACING, model) == confidence(early, SPACING, model)
    assert judge(late, None, model) == (Flag.LOW_CONFIDENCE,)
    assert [tolerance_mm(hc_mm) for hc_mm in (None, 100.0, 300.0)] == [3.0, 3.0, 6.0]


def test_an_outline_beyond_the_sector_is_flagged() -> None:
    inside = Head(HeadFit(Ellipse(0, 0, 40, 30, 0), 0.005, 0.0, 1.0, 0.97, 0.9), beyond_share=0.19)
    assert judge(inside, SPACING, None) == ()
    assert judge(replace(inside, beyond_share=0.21), SPACING, None) == (Flag.CUT_BY_BORDER,)


def test_grey_that_is_no_ultrasounds_is_flagged() -> None:
    plain = Head(HeadFit(Ellipse(0, 0, 40, 30, 0), 0.005, 0.0, 1.0, 0.97, 0.9))
    assert judge(replace(plain, is_inverted=True), SPACING, None) == (Flag.GREY_INVERTED,)
    assert judge(replace(plain, is_squeezed=True), SPACING, None) == (Flag.GREY_LEVELS,)


def test_an_outline_is_what_is_measured_and_tells_how_far_to_trust_it() -> None:
    near = HeadFit(Ellipse(0, 0, 40, 30, 0), 0.005, 0.0, 1.0, 0.97, 0.9)
    twice = Head(near, near)
    close, far = (
        Head(near, near, Contour(Ellipse(0, 0, axis_px, 30, 0), 0.004)) for axis_px in (41, 44)
    )
    assert far.ellipse.semi_axis_a_px == 44
    assert far.last is near
    assert 0 == twice.correction < close.correction < far.correction
    assert judge(close, SPACING, None) == ()
    assert judge(far, SPACING, None) == (Flag.LOOKS_DIFFER,)
    corrections = [quality_features(each, SPACING)[Feature.LOG_CORRECTION] for each in (close, far)]
    assert corrections == sorted(corrections)  # type: ignore[type-var]
    unknown = {name for name, value in quality_features(twice, SPACING).items() if value is None}
    assert unknown == {Feature.LOG_CORRECTION, Feature.LOG_CONTOUR_RESIDUAL}
