"""The engine where memory is short."""

from __future__ import annotations

import logging
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from hcmodel.engine import Engine, OutOfMemory, Stage, tf
from hcmodel.model_card import SHIPPED, Card, file_sha256
from hcmodel.unet_config import UNetConfig
from worker.measuring.instrument import Instrument, ScanRequest
from worker.reading.sandbox.pool import ReaderPool
from worker.result import Status
from worker.roots import Roots
from worker.sample_files import write_series


@pytest.fixture
def greedy(tmp_path: Path) -> Path:
    """Weights of a network that wants 8 TB for each image; TensorFlow itself refuses that."""
    image = keras.Input((32, 48, 1))
    huge = layers.ZeroPadding2D(((0, 2**20), (0, 2**21)))(image)
    probability = layers.Cropping2D(((0, 2**20), (0, 2**21)))(huge)
    weights = tmp_path / "greedy.keras"
    keras.Model(image, probability).save(weights)
    Card("greedy", file_sha256(weights), UNetConfig(32, 48), "greedy", {}).write(weights)
    return weights


def test_what_never_fits_is_refused_by_name(
    greedy: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = write_series(tmp_path / "files", 3, seed=4)
    engine = Engine(greedy, batch_size=8)
    caplog.set_level(logging.WARNING, "hcmodel")
    with Instrument(engine, ReaderPool(1), Roots(), "hadlock-1984") as instrument:
        requests = [ScanRequest(number, str(path)) for number, path in enumerate(files)]
        results = [result for _, result in instrument.measure(requests)]
    assert [(each.status, each.code) for each in results] == [
        (Status.FAILED, "gpu-out-of-memory")
    ] * 3
    assert engine.batch_size == 4
    assert caplog.messages == ["out of memory: 4 images at once from now on"]


@pytest.mark.skipif(not SHIPPED.exists(), reason="needs the shipped weights")
def test_half_a_batch_gives_the_same_maps(
    greedy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(SHIPPED, batch_size=4)
    pixels = np.random.default_rng(1).integers(0, 255, (5, 60, 90), np.uint8)
    images = [engine.prepare(each, None) for each in pixels]
    whole = engine.predict(images)
    refusing = Engine(greedy, batch_size=4)
    with pytest.raises(tf.errors.ResourceExhaustedError) as refusal:
        refusing._graphs[Stage.MAPS](tf.zeros((4, 32, 48, 1)))

    def full(_: object) -> None:
        raise refusal.value

    monkeypatch.setattr(engine, "_graphs", dict.fromkeys(engine._graphs, full))
    halved = engine.predict(images)
    assert engine.batch_size == 2
    np.testing.assert_allclose(halved, whole, atol=1e-5)
    monkeypatch.setattr(engine, "_graphs", dict.fromkeys(engine._graphs, full))
    with pytest.raises(OutOfMemory, match="at 2 images"):
        engine.predict(images)
