"""What is said of a head, by exact values: its figures, and both sides of each threshold."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hcmodel import quality
from hcmodel.ellipse_fit import HeadFit
from hcmodel.flags import Flag
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.head import Head
from hcmodel.measurement import measure_head
from hcmodel.plane import PLANES, Gate, Plane, PlaneOdds
from hcmodel.polar import Contour
from hcmodel.quality import confidence, fit_score, is_convincing, judge, quality_features
from hcmodel.uncertainty import ErrorModel, Feature, tolerance_mm

MM = Spacing(1, 1)
OUTLINE = Ellipse(300, 200, 40, 30, 0)
FIT = HeadFit(OUTLINE, 0.0, 0.0, 1.0, 1.0, 1.0)
"""A head about which there is nothing to say."""
MODEL = ErrorModel(
    features=(Feature.LOG_RESIDUAL, Feature.AXIS_RATIO),
    means=(1.0, 0.5),
    deviations=(2.0, 0.25),
    weights=(0.5, -0.3),
    bias=math.log(2.0),
    ratios=(0.0, 0.5, 1.0, 2.0, 4.0),
    interval_ratio=2.5,
    min_confidence=0.5,
)


def scaled(factor: float) -> HeadFit:
    return replace(FIT, ellipse=OUTLINE.scaled(factor))


def circle(hc_px: float) -> Head:
    radius = hc_px / (2 * math.pi)
    return Head(replace(FIT, ellipse=Ellipse(300, 200, radius, radius, 0)))


@pytest.mark.parametrize(
    ("flag", "fine", "wrong"),
    [
        (
            Flag.CUT_BY_BORDER,
            Head(replace(FIT, border_share=0.20)),
            Head(replace(FIT, border_share=0.2001)),
        ),
        (Flag.CUT_BY_BORDER, Head(FIT, beyond_share=0.20), Head(FIT, beyond_share=0.2001)),
        (
            Flag.FRAGMENTED_MASK,
            Head(replace(FIT, largest_component_share=0.90)),
            Head(replace(FIT, largest_component_share=0.8999)),
        ),
        (Flag.IMPLAUSIBLE_HC, circle(40.001), circle(39.999)),
        (Flag.IMPLAUSIBLE_HC, circle(399.999), circle(400.001)),
        (
            Flag.IMPLAUSIBLE_SHAPE,
            Head(replace(FIT, ellipse=Ellipse(300, 200, 50, 30.001, 0))),
            Head(replace(FIT, ellipse=Ellipse(300, 200, 50, 29.999, 0))),
        ),
        (
            Flag.LOOKS_DIFFER,
            Head(scaled(math.exp(0.0449)), FIT),
            Head(scaled(math.exp(0.0451)), FIT),
        ),
        (
            Flag.LOOKS_DIFFER,
            Head(FIT, FIT, Contour(OUTLINE.scaled(math.exp(-0.0449)), 0.0)),
            Head(FIT, FIT, Contour(OUTLINE.scaled(math.exp(-0.0451)), 0.0)),
        ),
        (
            Flag.WEAK_FIT,
            Head(replace(FIT, soft_dice=0.75), FIT),
            Head(replace(FIT, soft_dice=0.7499), FIT),
        ),
        (
            Flag.WEAK_FIT,
            Head(FIT, replace(FIT, soft_dice=0.75)),
            Head(FIT, replace(FIT, soft_dice=0.7499)),
        ),
        (Flag.GREY_INVERTED, Head(FIT), Head(FIT, is_inverted=True)),
        (Flag.GREY_LEVELS, Head(FIT), Head(FIT, is_squeezed=True)),
    ],
)
def test_each_flag_has_its_threshold(flag: Flag, fine: Head, wrong: Head) -> None:
    assert judge(fine, MM, None) == ()
    assert judge(wrong, MM, None) == (flag,)


def disagreeing() -> Head:
    return Head(scaled(1.1), FIT)


def just(value: float, towards: float) -> float:
    """The nearest number on that side."""
    return math.nextafter(value, towards)


@pytest.mark.parametrize(
    ("name", "head", "at", "beyond"),
    [
        (
            "HC_RANGE_MM",
            circle(200),
            lambda hc_mm: (hc_mm, 400.0),
            lambda hc_mm: (just(hc_mm, 999), 400.0),
        ),
        (
            "HC_RANGE_MM",
            circle(200),
            lambda hc_mm: (40.0, hc_mm),
            lambda hc_mm: (40.0, just(hc_mm, 0)),
        ),
        (
            "MAX_DISAGREEMENT",
            disagreeing(),
            lambda _: disagreeing().disagreement,
            lambda _: just(disagreeing().disagreement, 0),
        ),
        ("MIN_AXIS_RATIO", Head(FIT), lambda _: 0.75, lambda _: just(0.75, 1)),
        (
            "MAX_BORDER_SHARE",
            Head(FIT, beyond_share=0.25),
            lambda _: 0.25,
            lambda _: just(0.25, 0),
        ),
        ("MIN_LARGEST_COMPONENT_SHARE", Head(FIT), lambda _: 1.0, lambda _: just(1, 2)),
        ("TRUSTED_FIT_SCORE", Head(FIT), lambda _: 1.0, lambda _: just(1, 2)),
    ],
)
def test_a_figure_at_its_bound_is_fine(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    head: Head,
    at: Callable[[float], object],
    beyond: Callable[[float], object],
) -> None:
    hc_mm = head.ellipse.circumference_mm(MM)
    for others in ("MAX_BORDER_SHARE", "MAX_DISAGREEMENT"):
        monkeypatch.setattr(quality, others, 1.0)
    monkeypatch.setattr(quality, name, at(hc_mm))
    assert judge(head, MM, None) == ()
    monkeypatch.setattr(quality, name, beyond(hc_mm))
    assert len(judge(head, MM, None)) == 1


def test_all_that_is_wrong_is_said() -> None:
    bad = HeadFit(Ellipse(0, 0, 300, 30, 0), 0.0, 0.5, 0.5, 0.5, 1.0)
    head = Head(bad, is_inverted=True, is_squeezed=True, contour=Contour(OUTLINE, 0.0))
    sure = replace(MODEL, bias=1.0, weights=(0.0, 0.0), min_confidence=1.0)
    assert set(judge(head, Spacing(0.1, 0.1), sure)) == {
        *(Flag.CUT_BY_BORDER, Flag.FRAGMENTED_MASK, Flag.IMPLAUSIBLE_HC, Flag.LOOKS_DIFFER),
        *(Flag.LOW_CONFIDENCE, Flag.WEAK_FIT, Flag.GREY_INVERTED, Flag.GREY_LEVELS),
    }


def test_without_a_scale_no_circumference_is_implausible_and_the_shape_is_that_of_pixels() -> None:
    assert judge(circle(10), None, None) == ()
    for minor_px, flags in ((30.0, ()), (29.999, (Flag.IMPLAUSIBLE_SHAPE,))):
        head = Head(replace(FIT, ellipse=Ellipse(300, 200, 50, minor_px, 0)))
        assert judge(head, None, None) == flags


def test_confidence_at_the_least_that_is_asked_for_passes() -> None:
    # An error of 2 mm is expected and 3 mm are tolerable: 1.5 times as much, half way from the
    # third quantile to the fourth.
    even = replace(MODEL, weights=(0.0, 0.0))
    assert confidence(Head(FIT), MM, even) == 0.625
    half = Spacing(0.5, 0.5)  # of such a head, 3 mm are more than 2 %
    assert judge(Head(FIT), half, replace(even, min_confidence=0.625)) == ()
    assert judge(Head(FIT), half, replace(even, min_confidence=0.6251)) == (Flag.LOW_CONFIDENCE,)


def test_a_late_head_may_be_off_by_2_percent() -> None:
    even = replace(MODEL, weights=(0.0, 0.0), min_confidence=0.75)
    # 4 mm, twice what is expected, are as likely as is asked for; they are 2 % of 200 mm.
    assert judge(circle(200.01), MM, even) == ()
    assert judge(circle(199.99), MM, even) == (Flag.LOW_CONFIDENCE,)


def test_the_score_of_a_fit_by_its_parts() -> None:
    fit = HeadFit(OUTLINE, 0.05, 0.0, 1.0, 0.9, 0.81)
    assert fit_score(fit) == pytest.approx(0.9 * 0.8 * 0.9)
    assert fit_score(replace(fit, residual=0.0)) == pytest.approx(0.9 * 0.9)
    assert fit_score(replace(fit, residual=0.25)) == fit_score(replace(fit, residual=9.0)) == 0
    assert confidence(Head(replace(FIT, soft_dice=0.1), fit), MM, None) == fit_score(fit)


def test_what_may_be_called_a_head() -> None:
    assert is_convincing(replace(FIT, soft_dice=0.55))
    assert not is_convincing(replace(FIT, soft_dice=0.5499))
    assert not is_convincing(replace(FIT, ellipse=Ellipse(300, 200, 40, 0.0009, 0)))


def test_the_features_of_a_head() -> None:
    whole = HeadFit(OUTLINE.scaled(math.exp(0.03)), 0.5, 0.5, 0.5, 0.5, 0.5)
    near = HeadFit(OUTLINE, 0.009, 0.07, 0.97, 0.949, 0.799)
    contour = Contour(Ellipse(300, 200, 40 * math.exp(-0.02), 30 * math.exp(-0.02), 0), 0.004)
    head = Head(whole, near, contour)
    shrunk = math.exp(-0.02)
    assert quality_features(head, Spacing(row_mm=1.2, column_mm=1.0)) == pytest.approx(
        {
            "log-residual": math.log(0.010),
            "log-dice-loss": math.log(0.052),
            "log-blur": math.log(0.202),
            "border-share": 0.07,
            "other-components-share": 0.03,
            "axis-ratio": 0.9,
            "log-hc-mm": math.log(shrunk * 238.926417),
            "log-disagreement": math.log(0.031),
            "log-correction": math.log(0.021),
            "log-contour-residual": math.log(0.005),
        },
        abs=1e-6,
    )
    plain = quality_features(Head(whole, near), None)
    assert plain["axis-ratio"] == 0.75
    unknown = {"log-hc-mm", "log-correction", "log-contour-residual"}
    assert {name for name, value in plain.items() if value is None} == unknown


def test_a_head_is_measured_to_the_last_digit() -> None:
    """Across the columns 60 px of 0.25 mm, down the rows 45 px of 0.5 mm."""
    head = Head(replace(FIT, ellipse=Ellipse(300, 200, 60, 45, 0)))
    turn_rad = np.linspace(0, 2 * math.pi, 100_001)
    speed = np.hypot(22.5 * np.sin(turn_rad), 15 * np.cos(turn_rad))
    hc_mm = float(np.trapezoid(speed, turn_rad))
    model = replace(MODEL, weights=(0.0, 0.0))
    found = measure_head(head, Spacing(row_mm=0.5, column_mm=0.25), model, None, any_plane=True)
    assert found.hc_mm == pytest.approx(hc_mm, abs=1e-4)
    assert (found.ofd_mm, found.bpd_mm) == (pytest.approx(45.0), pytest.approx(30.0))
    assert found.hc_low_mm == pytest.approx(hc_mm - 5.0, abs=1e-4)
    assert found.hc_high_mm == pytest.approx(hc_mm + 5.0, abs=1e-4)
    assert found.confidence == 0.625
    assert found.ellipse == head.ellipse
    assert (found.plane, found.plane_confidence, found.is_no_head) == (None, None, False)
    assert found.flags == ()


def test_without_a_scale_or_a_model_what_follows_from_it_is_unknown() -> None:
    head = Head(FIT)
    bare = measure_head(head, None, MODEL, None, any_plane=True)
    assert bare.hc_mm is bare.hc_low_mm is bare.hc_high_mm is bare.bpd_mm is bare.ofd_mm is None
    plain = measure_head(head, MM, None, None, any_plane=True)
    assert (plain.bpd_mm, plain.ofd_mm) == (60, 80)
    assert plain.hc_low_mm is plain.hc_high_mm is None
    assert plain.confidence == 1.0


def test_what_the_gate_tells_and_what_follows() -> None:
    gate = Gate(min_no_head=0.7, min_hc_plane=0.4, max_no_head=0.5)
    sure = PlaneOdds((0.2, 0.6, 0.05, 0.05, 0.05, 0.03, 0.02))
    body = PlaneOdds((0.05, 0.05, 0.05, 0.25, 0.5, 0.07, 0.03))
    for odds, plane, share, refused in (
        (sure, Plane.TRANS_VENTRICULAR, 0.8, False),
        (body, Plane.THORAX, 0.85, True),
    ):
        found = measure_head(Head(FIT, odds=odds), MM, None, gate)
        assert (found.plane, found.is_no_head) == (plane, refused)
        assert found.plane_confidence == pytest.approx(share)
        vouched = measure_head(Head(FIT, odds=odds), MM, None, gate, any_plane=True)
        assert (vouched.plane, vouched.is_no_head, vouched.flags) == (plane, False, ())
    certain = PlaneOdds(tuple(1.0000001 if each is Plane.FEMUR else 0.0 for each in PLANES))
    assert measure_head(Head(FIT, odds=certain), MM, None, gate).plane_confidence == 1.0
    assert measure_head(Head(FIT, odds=sure), MM, None, None).flags == (Flag.PLANE_UNSURE,)
    assert measure_head(Head(FIT), MM, None, gate).flags == (Flag.PLANE_UNSURE,)
    assert measure_head(Head(FIT), MM, None, gate).plane is None


def test_the_stages_of_a_head() -> None:
    near, contour = scaled(1.2), Contour(OUTLINE.scaled(1.5), 0.01)
    assert Head(FIT).last is FIT
    assert Head(FIT, near).last is near
    assert Head(FIT, near).ellipse is near.ellipse
    assert Head(FIT, near, contour).ellipse is contour.ellipse
    assert Head(FIT, near, contour).disagreement == pytest.approx(math.log(1.2))
    assert Head(FIT, near, contour).correction == pytest.approx(math.log(1.25))
    assert Head(near, FIT).disagreement == pytest.approx(math.log(1.2))
    round_head = replace(FIT, ellipse=Ellipse(0, 0, 35, 35, 0))
    assert Head(FIT, round_head).disagreement == pytest.approx(0.00509558, abs=1e-7)


@pytest.mark.parametrize(
    ("limit_mm", "probability"),
    [
        (0.0, 0.0),
        (0.5, 0.125),
        (1.0, 0.25),
        (1.5, 0.375),
        (2.0, 0.5),
        (3.0, 0.625),
        (4.0, 0.75),
        (7.9, 0.99375),
        (8.0, 1.0),
        (99.0, 1.0),
    ],
)
def test_a_probability_lies_between_its_quantiles(limit_mm: float, probability: float) -> None:
    even = replace(MODEL, weights=(0.0, 0.0))
    assert even.within({}, limit_mm) == pytest.approx(probability)
    assert replace(even, ratios=(0.1, 1.0)).within({}, 0.19) == 0.0


def test_an_expected_error_is_that_of_the_features() -> None:
    # One and a half deviations above the mean, and one below: 2 mm exp(0.75 + 0.3).
    features = {Feature.LOG_RESIDUAL: 4.0, Feature.AXIS_RATIO: 0.25}
    assert MODEL.expected_error_mm(features) == pytest.approx(2 * math.exp(1.05))
    assert MODEL.half_width_mm(features) == pytest.approx(5 * math.exp(1.05))
    assert MODEL.expected_error_mm({}) == pytest.approx(2.0)
    for value, deviations in ((8.9, 3.95), (9.1, 4.0), (-6.9, -3.95), (-7.1, -4.0)):
        expected_mm = 2 * math.exp(0.5 * deviations)
        assert MODEL.expected_error_mm({Feature.LOG_RESIDUAL: value}) == pytest.approx(expected_mm)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"features": ("log-residual", "nonsense")}, "unknown features: nonsense"),
        ({"features": ("axis-ratio", "axis-ratio")}, "stands there twice"),
        ({"means": (1.0,)}, "2 features, but 1 means"),
        ({"deviations": (1.0, 1.0, 1.0)}, "2 features, but 3 deviations"),
        ({"weights": ()}, "2 features, but 0 weights"),
        ({"means": (1.0, math.nan)}, "means must be finite"),
        ({"deviations": (1.0, math.inf)}, "deviations must be finite"),
        ({"weights": (True, 1.0)}, "weights must be finite"),
        ({"ratios": (0.0, 2e300)}, "ratios must be finite"),
        ({"bias": "1"}, "bias must be a finite"),
        ({"interval_ratio": -math.inf}, "interval_ratio must be a finite"),
        ({"min_confidence": None}, "min_confidence must be a finite"),
        ({"deviations": (1.0, 0.0)}, "above zero"),
        ({"ratios": (1.0,)}, "two or more"),
        ({"ratios": (0.0, 2.0, 1.0)}, "two or more"),
        ({"ratios": (-0.1, 2.0)}, "two or more"),
        ({"interval_ratio": -0.1}, "from 0 up"),
        ({"min_confidence": -0.01}, "from 0 to 1"),
        ({"min_confidence": 1.01}, "from 0 to 1"),
        ({"bias": 297.0}, "too large"),
        ({"bias": -297.0}, "too large"),
        ({"weights": (50.0, -30.0)}, "too large"),
    ],
)
def test_numbers_that_would_fail_in_use_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(MODEL, **changes)  # type: ignore[arg-type]


def test_numbers_at_their_bounds_are_taken() -> None:
    replace(MODEL, ratios=(0.0, 0.0), interval_ratio=0, min_confidence=0)
    replace(MODEL, min_confidence=1, bias=296.8, means=(1e300, -1e300))
    bare = replace(MODEL, features=(), means=(), deviations=(), weights=(), bias=300.0)
    assert bare.expected_error_mm({}) == math.exp(300)


def test_the_tolerance_is_3_mm_or_2_percent() -> None:
    assert [tolerance_mm(hc_mm) for hc_mm in (None, 149.0, 151.0)] == [3.0, 3.0, 3.02]
    assert tolerance_mm(400.0) == 8.0
