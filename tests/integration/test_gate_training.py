"""A gate is trained behind weights that are there, which it leaves as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

from hcmodel.backends.stage import Stage
from hcmodel.backends.tensorflow_backend import networks_of
from hcmodel.dataset.hc18 import LabelledImage
from hcmodel.dataset.planes import PLANES, PlaneImage
from hcmodel.engine import Engine
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.model_card import SHIPPED, verify
from hcmodel.phantom import draw_phantom
from hcmodel.training import add_gate, gate_training, outlines

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning"),  # of Keras, when it saves
    pytest.mark.filterwarnings("ignore:Even though .* tf.data functions:UserWarning"),
]

HEAD = Ellipse(400.0, 270.0, 150.0, 115.0, 0.3)
SHAPE = (540, 800)


def drawn(path: Path, seed: int) -> Path:
    cv2.imwrite(str(path), draw_phantom(SHAPE, HEAD, np.random.default_rng(seed)))
    return path


@pytest.fixture
def eagerly() -> Iterator[None]:
    """Each step as it comes: to draw a network's graph takes longer than the few steps here."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.usefixtures("eagerly")
def test_a_gate_joins_the_weights_and_changes_nothing_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PHANTOMS", "EMPTY_PHANTOMS", "SCREENS"):
        monkeypatch.setattr(outlines, name, 8)
    monkeypatch.setattr(gate_training, "EPOCH_OUTLINES", 160)
    monkeypatch.setattr(add_gate, "EPOCHS", 1)
    paths = [drawn(tmp_path / f"{number:03}_HC.png", number) for number in range(3)]
    heads = [LabelledImage(path, tmp_path / "none.png", Spacing(0.2, 0.2), None) for path in paths]
    planes = [
        PlaneImage(drawn(tmp_path / f"{plane}.png", number), plane, f"P{number}", "machine")
        for number, plane in enumerate(PLANES, start=10)
    ]
    before = verify(SHIPPED)
    weights = add_gate.add_gate(SHIPPED, heads, planes, tmp_path / "out")
    card = verify(weights)
    assert card.gate is not None
    assert card.gate.exams == ("000", "001", "002")
    assert card.gate.patients == tuple(f"P{number}" for number in range(10, 17))
    assert (card.doubt, card.level, card.network) == (before.doubt, before.level, before.network)
    assert card.model != before.model
    there, here = networks_of(SHIPPED, before), networks_of(weights, card)
    for stage in (Stage.MAPS, Stage.CONTOURS):
        kept = zip(there[stage].get_weights(), here[stage].get_weights(), strict=True)
        assert all(np.array_equal(one, other) for one, other in kept)
    pixels = draw_phantom(SHAPE, HEAD, np.random.default_rng(99))
    old, new = Engine(SHIPPED, batch_size=1), Engine(weights, batch_size=1)
    image = old.prepare(pixels, None)
    # Their ONNX files fold normalisation into the weights, each on the processor that wrote it.
    np.testing.assert_allclose(new.predict([image]), old.predict([image]), rtol=0, atol=2e-6)
    (told,) = new.recognise([(image, HEAD)])
    assert sum(told.probabilities) == pytest.approx(1, abs=1e-5)
    assert told != old.recognise([(image, HEAD)])[0]
