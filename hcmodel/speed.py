"""How fast networks predict on this machine: the shipped one, and the notebook's way."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from hcmodel.engine import Engine, frozen
from hcmodel.training.recipes import NOTEBOOK
from hcmodel.unet import get_unet

BATCH_SIZES = (1, 4, 8, 16)
_ROUNDS = 3


def network_images_per_s(weights: Path, images: int = 32) -> dict[int, float]:
    """Images per second by batch size, the best of a few rounds; each image as often as it is
    looked at."""
    blank = np.random.default_rng(1).integers(0, 256, (540, 800), np.uint8)
    speeds = {}
    for size in BATCH_SIZES:
        engine = Engine(weights, batch_size=size)
        batch = [engine.prepare(blank, None)] * size
        engine.predict(batch)
        looks = 2 if engine.card.network.second_look else 1
        rate = _rate(lambda: engine.predict(batch), images // size, size)  # noqa: B023
        speeds[size] = rate / looks
    return speeds


def notebook_network_images_per_s(batch_size: int, images: int = 32) -> float:
    """The notebook's network, 256x256 at width 16, run as the shipped one is."""
    shape = (batch_size, 256, 256, 1)
    predict = frozen(get_unet(NOTEBOOK.network), shape)
    batch = tf.constant(np.random.default_rng(1).random(shape, np.float32))
    predict(batch)
    return _rate(lambda: predict(batch), images // batch_size, batch_size)


def notebook_images_per_s(images: int = 16) -> float:
    """The origin's way: 256x256 at width 16, one ``model.predict`` per image."""
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
