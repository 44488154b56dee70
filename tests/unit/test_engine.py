"""The engine: its backends agree, its files are those of the card, and memory may be short."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from hcmodel.arrays import FloatArray, Tensor
from hcmodel.backends.choice import ONNX, TENSORFLOW
from hcmodel.backends.export import export
from hcmodel.backends.onnx_backend import OnnxBackend
from hcmodel.backends.stage import MemoryExhausted, Stage
from hcmodel.cascade import find_heads
from hcmodel.dataset.hc18 import LabelledImage, read_folder, read_grey
from hcmodel.engine import Engine, OutOfMemory
from hcmodel.model_card import SHIPPED, Card, WeightsError, file_sha256, onnx_file
from hcmodel.preprocess import Prepared
from hcmodel.unet_config import UNetConfig
from worker.measuring.instrument import Instrument, ScanRequest
from worker.reading.sandbox.pool import ReaderPool
from worker.result import Status
from worker.roots import Roots
from worker.sample_files import write_series

needs_weights = pytest.mark.skipif(not SHIPPED.exists(), reason="needs the shipped weights")


@pytest.fixture
def greedy(tmp_path: Path) -> Path:
    """Weights of a network that wants 8 TB for each image; the libraries themselves refuse that."""
    image = keras.Input((32, 48, 1))
    huge = layers.ZeroPadding2D(((0, 2**20), (0, 2**21)))(image)
    probability = layers.Cropping2D(((0, 2**20), (0, 2**21)))(huge)
    weights = tmp_path / "greedy.keras"
    keras.Model(image, probability).save(weights)
    Card("greedy", file_sha256(weights), UNetConfig(32, 48), "greedy", {}).write(weights)
    return weights


@pytest.mark.parametrize("backend", [ONNX, TENSORFLOW])
def test_what_never_fits_is_refused_by_name(
    backend: str, greedy: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = write_series(tmp_path / "files", 3, seed=4)
    if backend == ONNX:
        export(greedy)
    engine = Engine(greedy, batch_size=8, backend=backend)
    caplog.set_level(logging.WARNING, "hcmodel")
    with Instrument(engine, ReaderPool(1), Roots(), "hadlock-1984") as instrument:
        requests = [ScanRequest(number, str(path)) for number, path in enumerate(files)]
        results = [result for _, result in instrument.measure(requests)]
    assert [(each.status, each.code) for each in results] == [
        (Status.FAILED, "gpu-out-of-memory")
    ] * 3
    assert engine.batch_size == 4
    assert caplog.messages == ["out of memory: 4 images at once from now on"]


class Small(OnnxBackend):
    """ONNX Runtime in a memory that holds ``most`` images at once."""

    most = 2

    def answer(self, stage: Stage, tensors: Tensor, batch_size: int) -> Tensor:
        if batch_size > self.most:
            raise MemoryExhausted
        return super().answer(stage, tensors, batch_size)


def images(engine: Engine) -> list[Prepared]:
    pixels = np.random.default_rng(1).integers(0, 255, (5, 60, 90), np.uint8)
    return [engine.prepare(each, None) for each in pixels]


@needs_weights
def test_half_a_batch_gives_the_same_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(SHIPPED, batch_size=4, backend=ONNX)
    whole = engine.predict(images(engine))
    small = Small(SHIPPED, engine.card)
    monkeypatch.setattr(engine, "_backend", small)
    halved = engine.predict(images(engine))
    assert engine.batch_size == 2
    np.testing.assert_allclose(halved, whole, atol=1e-5)
    small.most = 1
    with pytest.raises(OutOfMemory, match="at 2 images"):
        engine.predict(images(engine))


@needs_weights
@pytest.mark.parametrize("thorough", [False, True])
def test_backends_agree(thorough: bool) -> None:
    ours, reference = (
        Engine(SHIPPED, batch_size=2, thorough=thorough, backend=name)
        for name in (ONNX, TENSORFLOW)
    )
    seen = [engine.predict(images(engine)) for engine in (ours, reference)]
    np.testing.assert_allclose(seen[0], seen[1], atol=2e-5)
    assert ours.model == reference.model
    assert ours.model.count("-thorough") == thorough


@needs_weights
def test_a_thorough_map_does_not_know_left_from_right() -> None:
    engine = Engine(SHIPPED, thorough=True)
    image = images(engine)[0]
    turned = replace(image, pixels=np.ascontiguousarray(image.pixels[:, ::-1]))
    map_, mirrored = engine.predict([image, turned])
    np.testing.assert_allclose(map_, mirrored[:, ::-1], atol=1e-5)
    assert np.abs(map_ - Engine(SHIPPED).predict([image])[0]).max() > 1e-3


@needs_weights
def test_an_onnx_file_that_is_not_the_card_s_is_refused(tmp_path: Path) -> None:
    weights = tmp_path / SHIPPED.name
    for path in SHIPPED.parent.glob("hc18*"):
        shutil.copy(path, tmp_path)
    planes = onnx_file(weights, Stage.PLANES.value)
    content = bytearray(planes.read_bytes())
    content[len(content) // 2] ^= 1
    planes.write_bytes(content)
    with pytest.raises(WeightsError, match=r"hc18\.planes\.onnx has SHA-256"):
        Engine(weights)
    planes.unlink()
    with pytest.raises(WeightsError, match=r"cannot read hc18\.planes\.onnx"):
        Engine(weights, backend=ONNX)
    assert Engine(weights).lanes == 1, "weights without their ONNX files run in TensorFlow"


def test_onnx_is_told_where_the_weights_have_none(greedy: Path) -> None:
    with pytest.raises(WeightsError, match=r"hc-batch model export greedy\.keras"):
        Engine(greedy, backend=ONNX)


def test_measuring_on_a_processor_loads_what_it_needs(tmp_path: Path) -> None:
    """Not what trains, what queues, nor what reads headers, which is the readers' work."""
    needless = {"celery", "gdcm", "keras", "kombu", "pydicom", "redis", "requests", "tensorflow"}
    (path,) = write_series(tmp_path, 1, seed=4)
    script = (
        "import sys, worker.run, worker.measuring.instrument as made\n"
        "from worker.settings import Settings\n"
        "with made.open_instrument(Settings.from_environment()) as instrument:\n"
        "    [(_, result)] = instrument.measure([made.ScanRequest(1, sys.argv[1])])\n"
        f"print(result.status, sorted({needless} & set(sys.modules)))\n"
    )
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-c", script, path],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "HC_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "measured []"
    # ONNX Runtime keeps there what it tells its maker; it must tell nothing.
    assert not home.exists()


EVERY_IMAGE = "HC_EVERY_IMAGE" in os.environ


@needs_weights
@pytest.mark.skipif("HC18_DIR" not in os.environ, reason="HC18_DIR names no images")
def test_hc_is_the_same_in_both() -> None:
    """Of every tenth image, or of all: ``make engines``."""
    chosen = list(read_folder(Path(os.environ["HC18_DIR"])))[:: 1 if EVERY_IMAGE else 10]
    ours, reference = (_hc_mm(chosen, name) for name in (ONNX, TENSORFLOW))
    np.testing.assert_allclose(ours, reference, rtol=0, atol=0.02)
    assert np.isfinite(ours).mean() > 0.99


def _hc_mm(chosen: Sequence[LabelledImage], backend: str) -> FloatArray:
    engine = Engine(SHIPPED, backend=backend)
    found = []
    # As many at once as the network takes: TensorFlow would look at as many empty ones instead.
    for start in range(0, len(chosen), engine.batch_size):
        images = chosen[start : start + engine.batch_size]
        prepared = [engine.prepare(read_grey(each.image_path), each.spacing) for each in images]
        for image, head in zip(images, find_heads(prepared, engine), strict=True):
            found.append(np.nan if head is None else head.ellipse.circumference_mm(image.spacing))
    return np.array(found)
