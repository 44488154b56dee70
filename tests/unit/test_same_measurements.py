"""The shipped instrument measures what it measured when these figures were noted."""

from __future__ import annotations

import numpy as np
import pytest

from hcmodel.cascade import find_heads
from hcmodel.engine import Engine
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.measurement import measure_head
from hcmodel.model_card import SHIPPED, verify
from hcmodel.phantom import draw_phantom

pytestmark = pytest.mark.skipif(not SHIPPED.exists(), reason="needs the shipped weights")

SHAPE = (540, 800)
SPACING = Spacing(row_mm=0.2, column_mm=0.25)
HEADS = (
    Ellipse(390.0, 260.0, 190.0, 150.0, 0.3),
    Ellipse(420.0, 280.0, 110.0, 90.0, 1.2),
    Ellipse(400.0, 270.0, 230.0, 175.0, 2.9),
)
NOTED = (
    (244.68490702233836, 240.4831047366893, 0.7762260839143804),
    (140.12502877689718, 137.32548843252778, 0.9185302689972579),
    (295.26788283782685, 289.5512512675727, 0.63585357213279),
)
"""HC and the lower end of its interval in mm, and the confidence."""
SAME_MM = 0.002
"""Processors round the network's sums in another order: by about 1e-6 of the probability, which
moves HC by less than this. Any change of the code's mathematics moves it by more."""


def test_the_model_is_called_as_in_the_rows_of_earlier_versions() -> None:
    assert verify(SHIPPED).model == "hc18-0239fba7554c-a2546b-2"


def test_phantoms_have_the_circumference_that_they_had() -> None:
    engine = Engine(SHIPPED)
    images = [
        draw_phantom(SHAPE, head, np.random.default_rng(seed)) for seed, head in enumerate(HEADS)
    ]
    heads = find_heads([engine.prepare(image, SPACING) for image in images], engine)
    measured = []
    for head in heads:
        assert head is not None
        found = measure_head(head, SPACING, engine.error_model, engine.gate)
        measured.append((found.hc_mm, found.hc_low_mm, found.confidence))
    assert measured == [pytest.approx(noted, abs=SAME_MM) for noted in NOTED]
