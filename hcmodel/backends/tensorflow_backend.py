"""The networks in TensorFlow: on a GPU, and wherever no ONNX files lie beside the weights."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from hcmodel.arrays import Tensor
from hcmodel.backends.stage import MemoryExhausted, NetworkError, Stage, stages_of
from hcmodel.model_card import Card, WeightsError
from hcmodel.quiet import stderr_silenced

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# TensorFlow's C++ greets at every start, before it reads any log level.
with stderr_silenced():
    import keras
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    ON_GPU = bool(tf.config.list_physical_devices("GPU"))

__all__ = ["ON_GPU", "TensorFlowBackend", "frozen", "keras", "networks_of", "tf"]
"""Keras and TensorFlow come from here: they start in silence."""

Graph = Callable[[tf.Tensor], list[tf.Tensor]]


class TensorFlowBackend:
    """See ``Backend``; one batch at a time has all cores or the GPU.

    Raises ``WeightsError`` where the file cannot be loaded.
    """

    lanes = 1

    def __init__(self, weights: Path, card: Card) -> None:
        self.usual_batch_size = 32 if ON_GPU else 8
        self._networks = networks_of(weights, card)
        self._graph = cache(self._frozen)

    def answer(self, stage: Stage, tensors: Tensor, batch_size: int) -> Tensor:
        """Return an answer to each input; raises ``MemoryExhausted`` and ``NetworkError``.

        A smaller batch is padded, for one shape is traced once.
        """
        padding = [(0, batch_size - len(tensors)), *[(0, 0)] * (tensors.ndim - 1)]
        try:
            (answers,) = self._graph(stage, batch_size)(tf.constant(np.pad(tensors, padding)))
        except tf.errors.ResourceExhaustedError as error:
            raise MemoryExhausted from error
        except tf.errors.OpError as error:
            raise NetworkError(type(error).__name__) from error
        return np.asarray(answers.numpy()[: len(tensors)])

    def _frozen(self, stage: Stage, batch_size: int) -> Graph:
        network = self._networks[stage]
        return frozen(network, (batch_size, *network.input.shape[1:]))


def networks_of(weights: Path, card: Card) -> dict[Stage, keras.Model]:
    """Return the networks of a ``.keras`` file; raises ``WeightsError`` where it lacks them."""
    try:
        loaded = keras.saving.load_model(weights, compile=False)
    except (ValueError, OSError) as error:
        raise WeightsError(f"{weights.name} cannot be loaded: {error}") from error
    stages = stages_of(card)
    if len(loaded.outputs) != len(stages):
        wanted = ", ".join(stage.value for stage in stages)
        raise WeightsError(f"{weights.name} holds {len(loaded.outputs)} networks, not {wanted}")
    return {
        stage: keras.Model(tensor, answer)
        for stage, tensor, answer in zip(stages, loaded.inputs, loaded.outputs, strict=True)
    }


def frozen(model: keras.Model, shape: tuple[int, ...]) -> Graph:
    """Return the network as a graph of constants.

    With constants TensorFlow folds batch normalisation and ReLU into the convolutions, which
    makes the network a quarter faster on a CPU.
    """
    traced = tf.function(
        lambda images: model(images, training=False),
        input_signature=[tf.TensorSpec(shape, tf.float32)],
    )
    constant: Graph = convert_variables_to_constants_v2(traced.get_concrete_function())
    return constant
