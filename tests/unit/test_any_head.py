"""No map and no head raises: what is no head is none, and what is odd is flagged."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hcmodel.arrays import FloatImage
from hcmodel.ellipse_fit import HeadFit, fit_head
from hcmodel.flags import Flag
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.head import Head
from hcmodel.measurement import measure_head
from hcmodel.model_card import SHIPPED, read_card
from hcmodel.polar import DIRECTIONS, Contour, corrected
from hcmodel.preprocess import prepare, whole_image
from hcmodel.quality import is_convincing

RASTER = (32, 48)
ERROR_MODEL = read_card(SHIPPED).doubt
patiently = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
any_float = st.floats()
share = st.floats(0, 1)
size_px = st.floats(1e-2, 1e4)
spacings = st.none() | st.builds(Spacing, st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))


@st.composite
def maps(draw: st.DrawFn) -> FloatImage:
    """A few bars, lines and ellipses of any width, with noise, and now and then a NaN."""
    canvas = np.zeros(RASTER, np.uint8)
    for _ in range(draw(st.integers(0, 3))):
        x, y = draw(st.integers(-10, 60)), draw(st.integers(-10, 45))
        axes = (draw(st.integers(0, 40)), draw(st.integers(0, 40)))
        turn_deg, width = draw(st.integers(0, 180)), draw(st.sampled_from([-1, 1, 3]))
        cv2.ellipse(canvas, (x, y), axes, turn_deg, 0, 360, 255, width)
    noise = np.random.default_rng(draw(st.integers(0, 99))).random(RASTER)
    weight = draw(st.sampled_from([0.0, 0.1, 0.6, 1.0]))
    probability = ((1 - weight) * canvas / 255 + weight * noise).astype(np.float32)
    if draw(st.integers(0, 9)) == 0:
        probability[draw(st.integers(0, 31)), draw(st.integers(0, 47))] = np.nan
    return probability


@patiently
@given(maps(), st.tuples(st.integers(1, 900), st.integers(1, 900)), spacings)
def test_any_map_gives_a_proper_head_or_none(
    probability: FloatImage, shape: tuple[int, int], spacing: Spacing | None
) -> None:
    to_network = whole_image(shape, RASTER, keep_aspect=True)
    fit = fit_head(probability, prepare(np.zeros(shape, np.uint8), to_network, RASTER))
    if fit is not None and is_convincing(fit):
        measured = measure_head(Head(fit), spacing, ERROR_MODEL, None)
        assert 0 <= measured.confidence <= 1


ellipses = st.builds(Ellipse, any_float, any_float, any_float, any_float, any_float)
heads = st.builds(Ellipse, st.floats(-1e4, 1e4), st.floats(-1e4, 1e4), size_px, size_px, share)


@patiently
@given(ellipses)
def test_what_is_no_ellipse_is_no_head(ellipse: Ellipse) -> None:
    fit = HeadFit(ellipse, 0.0, 0.0, 1.0, 1.0, 1.0)
    if is_convincing(fit):
        assert math.isfinite(ellipse.circumference_mm(Spacing(0.1, 0.1)))
        assert measure_head(Head(fit), Spacing(0.1, 0.1), ERROR_MODEL, None).confidence >= 0


@pytest.mark.parametrize("height_px", [0.0, -1.0, math.nan])
def test_a_line_is_no_head(height_px: float) -> None:
    line = Ellipse(100, 100, 50, height_px, 0.1)
    assert not is_convincing(HeadFit(line, 0.0, 0.0, 1.0, 1.0, 1.0))


@patiently
@given(heads, heads, any_float, share, share, share, share, spacings)
def test_any_head_is_judged(
    first: Ellipse,
    second: Ellipse,
    residual: float,
    border: float,
    component: float,
    dice: float,
    sharpness: float,
    spacing: Spacing | None,
) -> None:
    proper = [each for each in (first, second) if each.is_proper]
    residual = abs(residual)
    fits = [HeadFit(each, residual, border, component, dice, sharpness) for each in proper]
    for fit in fits:
        contour = Contour(fits[-1].ellipse, residual)
        for head in (Head(fit), Head(fits[0], fit), Head(fits[0], fit, contour)):
            measured = measure_head(head, spacing, ERROR_MODEL, None)
            assert 0 <= measured.confidence <= 1
            assert set(measured.flags) <= set(Flag)


@patiently
@given(heads, st.lists(any_float, min_size=DIRECTIONS, max_size=DIRECTIONS))
def test_any_offsets_give_a_contour_or_none(head: Ellipse, offsets: list[float]) -> None:
    if head.is_proper:
        with np.errstate(all="ignore"):
            corrected(head, np.array(offsets))


def test_a_head_without_a_contour_is_judged_by_the_shipped_card() -> None:
    assert ERROR_MODEL is not None
    fit = HeadFit(Ellipse(400, 270, 200, 160, 0.1), 0.01, 0.0, 1.0, 0.97, 0.9)
    measured = measure_head(Head(fit, fit), Spacing(0.2, 0.2), ERROR_MODEL, None)
    assert measured.hc_mm is not None
    assert measured.hc_low_mm is not None
    assert 0 < measured.hc_low_mm < measured.hc_mm
