"""Trains the gate behind a network, and puts it into the network's file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras

from hcmodel.backends.export import export
from hcmodel.dataset.hc18 import LabelledImage
from hcmodel.dataset.planes import PlaneImage
from hcmodel.engine import Engine
from hcmodel.gate_net import get_gate_net
from hcmodel.model_card import Card, file_sha256
from hcmodel.plane import Gate
from hcmodel.training.curve import draw_curve
from hcmodel.training.gate_training import EPOCHS, OutlineBatches, compiled_gate_net
from hcmodel.training.outlines import outlined
from hcmodel.training.resumable import trained
from hcmodel.training.train import joined

MIN_NO_HEAD, MIN_HC_PLANE, MAX_NO_HEAD = 0.75, 0.25, 0.40
"""Chosen on five folds by patient and exam: see the gate's risk curve in docs/experiments.md."""


def add_gate(
    weights: Path, heads: Sequence[LabelledImage], planes: Sequence[PlaneImage], folder: Path
) -> Path:
    """Train a gate behind ``weights``, and write both with their card into ``folder``.

    ``heads`` are images that all show a plane for HC; ``planes`` tell theirs. Resumes an
    interrupted training; returns the new weights' path. Raises ``WeightsError`` where ``weights``
    cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    engine = Engine(weights, batch_size=1)
    outlines = OutlineBatches(list(outlined(heads, planes, engine)), augmented=True)
    log = folder / "gate-log.csv"
    gate = trained(
        folder / "gate-checkpoint.keras",
        log,
        EPOCHS,
        lambda: compiled_gate_net(len(outlines)),
        outlines,
        OutlineBatches((), augmented=False),
    )
    draw_curve(log, folder / "gate-curve.png")
    bare = get_gate_net()
    bare.set_weights(gate.get_weights())
    target = folder / weights.name
    joined(*_without_gate(weights, engine.card), bare).save(target)
    decides = Gate(
        MIN_NO_HEAD,
        MIN_HC_PLANE,
        MAX_NO_HEAD,
        exams=tuple(sorted({image.exam for image in heads})),
        patients=tuple(sorted({image.patient for image in planes})),
    )
    replace(engine.card, sha256=file_sha256(target), gate=decides, onnx={}).write(target)
    export(target)
    return target


def _without_gate(weights: Path, card: Card) -> list[keras.Model]:
    """Return the networks of a file one by one, but for the gate that it may have."""
    loaded = keras.saving.load_model(weights, compile=False)
    if len(loaded.outputs) == 1:
        return [loaded]
    networks = [layer for layer in loaded.layers if isinstance(layer, keras.Model)]
    return networks[:-1] if card.gate else networks
