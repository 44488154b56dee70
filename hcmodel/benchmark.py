"""How fast networks predict on this machine: the shipped one, and the notebook's way."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from hcmodel.backends.tensorflow_backend import frozen, tf
from hcmodel.engine import Engine
from hcmodel.geometry import Ellipse
from hcmodel.preprocess import Prepared
from hcmodel.training.recipes import NOTEBOOK
from hcmodel.unet import get_unet

BATCH_SIZES = (1, 4, 8, 16)
_ROUNDS = 3
"""The best counts: what else runs on the machine only makes a round slower."""


def network_images_per_s(weights: Path, images: int = 32) -> dict[int, float]:
    """Return images per second by batch size, the best of a few rounds, with all stages."""
    blank = np.random.default_rng(1).integers(0, 256, (540, 800), np.uint8)
    speeds = {}
    for size in BATCH_SIZES:
        engine = Engine(weights, batch_size=size)
        measure = _cascade(engine, [engine.prepare(blank, None)] * size)
        measure()
        speeds[size] = _rate(measure, images // size, size)
    return speeds


def _cascade(engine: Engine, batch: list[Prepared]) -> Callable[[], object]:
    """Return all that networks have to do for a batch in which every image shows a head."""
    network = engine.card.network
    outlines = [(image, Ellipse(400, 270, 200, 150, 0.3)) for image in batch]

    def measure() -> None:
        for _ in range(2 if network.second_look else 1):
            engine.predict(batch)
        if network.outline_look:
            engine.correct(outlines)

    return measure


def notebook_network_images_per_s(batch_size: int, images: int = 32) -> float:
    """Return images per second of the notebook's network, run as the shipped one is."""
    shape = (batch_size, 256, 256, 1)
    predict = frozen(get_unet(NOTEBOOK.network), shape)
    batch = tf.constant(np.random.default_rng(1).random(shape, np.float32))
    predict(batch)
    return _rate(lambda: predict(batch), images // batch_size, batch_size)


def notebook_images_per_s(images: int = 16) -> float:
    """Return images per second of the notebook's way: one ``model.predict`` per image."""
    model = get_unet(NOTEBOOK.network)
    image = np.random.default_rng(1).random((1, 256, 256, 1), np.float32)
    model.predict(image, verbose=0)
    return _rate(lambda: model.predict(image, verbose=0), images, 1)


def _rate(step: Callable[[], object], steps: int, images_per_step: int) -> float:
    best_s = float("inf")
    for _ in range(_ROUNDS):
        start_s = time.perf_counter()
        for _ in range(steps):
            step()
        best_s = min(best_s, time.perf_counter() - start_s)
    return steps * images_per_step / best_s
