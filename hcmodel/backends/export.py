"""Writes the networks of a ``.keras`` file as ONNX files, and their hashes into its card."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import tf2onnx

from hcmodel.backends.stage import Stage
from hcmodel.backends.tensorflow_backend import keras, networks_of, tf
from hcmodel.model_card import file_sha256, onnx_file, verify

OPSET = 18


def export(weights: Path) -> list[Path]:
    """Write an ONNX file per network beside ``weights``, and the card anew; return the files.

    Raises ``WeightsError`` where the weights are not those of their card.
    """
    card = verify(weights)
    written = {stage: onnx_file(weights, stage.value) for stage in Stage}
    networks = networks_of(weights, card)
    for stage, network in networks.items():
        onnx.save(_converted(network), written[stage])
    hashes = {stage.value: file_sha256(written[stage]) for stage in networks}
    replace(card, onnx=hashes).write(weights)
    return [written[stage] for stage in networks]


def _converted(network: keras.Model) -> onnx.ModelProto:
    """Return the network for any number of inputs at once."""
    signature = [tf.TensorSpec(network.input.shape, tf.float32, name="images")]
    answered = tf.function(lambda images: network(images, training=False), signature)
    model: onnx.ModelProto
    model, _ = tf2onnx.convert.from_function(answered, signature, opset=OPSET)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "images"
    return model
