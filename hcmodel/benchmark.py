"""What speed is compared with: networks by each library, nothing but them, the notebook's way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from hcmodel import gate, polar
from hcmodel.arrays import Tensor
from hcmodel.backends.choice import open_backend
from hcmodel.backends.stage import Stage, stages_of
from hcmodel.cores import usable_cores
from hcmodel.model_card import Card, onnx_file, verify
from hcmodel.training.recipes import NOTEBOOK

BATCH_SIZE = 8

Answer = Callable[[Stage, Tensor], object]
Work = Callable[[], object]


def ours(weights: Path, images: int) -> Work:
    """Return the networks on so many images as a worker runs them; raises ``WeightsError``."""
    backend = open_backend(weights, verify(weights))
    batch = _all_networks(
        weights, lambda stage, tensors: backend.answer(stage, tensors, BATCH_SIZE)
    )
    lanes = ThreadPoolExecutor(backend.lanes)
    return lambda: list(lanes.map(lambda _: batch(), range(images // BATCH_SIZE)))


def by_library(weights: Path, images: int) -> Iterator[tuple[str, Work]]:
    """Yield each library that is installed here, with the same networks in its usual settings."""
    card = verify(weights)
    for name, opened in (("TensorFlow", _tensorflow), ("ONNX Runtime", _onnx), ("OpenVINO", _vino)):
        try:
            answer = opened(weights, card)
        except ImportError:
            continue
        batch = _all_networks(weights, answer)
        yield name, partial(_repeat, batch, images // BATCH_SIZE)


def _repeat(batch: Work, times: int) -> None:
    for _ in range(times):
        batch()


def _all_networks(weights: Path, answer: Answer) -> Work:
    """Return what networks have to do for ``BATCH_SIZE`` images with a head in each."""
    card = verify(weights)
    rng = np.random.default_rng(1)
    tensors = {stage: rng.random(shape, np.float32) for stage, shape in _inputs(card)}
    stages = [stage for stage in tensors if stage is not Stage.MAPS]
    looks = [Stage.MAPS] * (2 if card.network.second_look else 1)
    order = [*looks, *stages]
    return lambda: [answer(stage, tensors[stage]) for stage in order]


def networks_and_decoding(weights: Path, files: Sequence[Path]) -> Work:
    """Return the least that files cost: ``cv2.imread`` and the networks, on all cores."""
    networks = ours(weights, len(files))
    readers = ThreadPoolExecutor(usable_cores())

    def work() -> None:
        read = [readers.submit(cv2.imread, os.fspath(path), cv2.IMREAD_GRAYSCALE) for path in files]
        networks()
        wait(read)

    return work


def notebook_way(files: Sequence[Path]) -> Work:
    """Return how the notebook's users do it: open, resize, ``model.predict`` of one, fit."""
    from hcmodel.unet import get_unet

    model = get_unet(NOTEBOOK.network)
    turn = np.linspace(0, 2 * np.pi, 200)
    outline = np.stack([100 + 60 * np.cos(turn), 100 + 45 * np.sin(turn)], axis=1)

    def work() -> None:
        for path in files:
            image = cv2.imread(os.fspath(path), cv2.IMREAD_GRAYSCALE)
            assert image is not None
            image = cv2.resize(image, (256, 256))
            model.predict((image / np.float32(255))[None, ..., None], verbose=0)
            cv2.fitEllipse(outline.astype(np.float32))  # of an untrained map none can be fitted

    return work


def _inputs(card: Card) -> list[tuple[Stage, tuple[int, ...]]]:
    network = card.network
    shapes = {
        Stage.MAPS: (network.input_height, network.input_width, 1),
        Stage.CONTOURS: (polar.ROWS, polar.COLUMNS, polar.CHANNELS),
        Stage.PLANES: (gate.ROWS, gate.COLUMNS, gate.CHANNELS),
    }
    return [(stage, (BATCH_SIZE, *shapes[stage])) for stage in stages_of(card)]


def _tensorflow(weights: Path, card: Card) -> Answer:
    backend = open_backend(weights, card, "tensorflow")
    return lambda stage, tensors: backend.answer(stage, tensors, BATCH_SIZE)


def _onnx(weights: Path, card: Card) -> Answer:
    import onnxruntime

    opened = {
        stage: onnxruntime.InferenceSession(os.fspath(onnx_file(weights, stage.value)))
        for stage in stages_of(card)
    }
    return lambda stage, tensors: opened[stage].run(None, {"images": tensors})


def _vino(weights: Path, card: Card) -> Answer:
    import openvino

    core = openvino.Core()
    opened = {
        stage: core.compile_model(os.fspath(onnx_file(weights, stage.value)), "CPU")
        for stage in stages_of(card)
    }
    return lambda stage, tensors: opened[stage](tensors)
