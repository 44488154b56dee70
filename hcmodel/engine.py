"""The one door to Keras at run time: weights in, probability maps out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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

from hcmodel.card import Card, WeightsError, verify
from hcmodel.doubt import Doubt
from hcmodel.preprocess import Prepared, prepare, to_tensor

BATCH_SIZE_CPU = 8
BATCH_SIZE_GPU = 32


Network = Callable[..., tf.Tensor]
"""From images ``(B, H, W, 1)`` and ``training`` to probabilities of the same shape."""


class Engine:
    """A network in memory, ready to predict batches of one fixed size.

    A ``thorough`` map is the mean of what the network says of the image and of its mirror, in
    twice the time. Raises ``WeightsError`` where the weights are not those of their card.
    """

    def __init__(
        self, weights: Path, batch_size: int | None = None, *, thorough: bool = False
    ) -> None:
        self.card: Card = verify(weights)
        self._thorough = thorough
        self.batch_size = batch_size or (BATCH_SIZE_GPU if ON_GPU else BATCH_SIZE_CPU)
        network = self.card.network
        self._shape = (network.input_height, network.input_width)
        try:
            network_model = keras.saving.load_model(weights, compile=False)
        except (ValueError, OSError) as error:
            raise WeightsError(f"{weights.name} cannot be loaded: {error}") from error
        ask = _with_mirror(network_model) if thorough else network_model
        self._predict = _frozen(ask, (self.batch_size, *self._shape, 1))

    @property
    def model(self) -> str:
        """The measuring instrument's version, as it stands in every row."""
        return f"{self.card.model}-thorough" if self._thorough else self.card.model

    @property
    def doubt(self) -> Doubt | None:
        """What tells how far a measurement may be off, where the card has it."""
        return self.card.doubt

    def prepare(self, pixels: NDArray[np.uint8]) -> Prepared:
        """``(rows, columns)`` uint8 grey to the network's raster."""
        return prepare(pixels, self._shape, keep_aspect=self.card.network.keep_aspect)

    def predict(self, batch: list[Prepared]) -> NDArray[np.float32]:
        """``(B, H, W)`` probability of "head" for up to ``batch_size`` images.

        A smaller batch is padded: one fixed shape is traced once.
        """
        if len(batch) > self.batch_size:
            raise ValueError(f"{len(batch)} images are more than a batch of {self.batch_size}")
        pixels = np.zeros((self.batch_size, *self._shape), np.uint8)
        for index, prepared in enumerate(batch):
            pixels[index] = prepared.pixels
        (maps,) = self._predict(tf.constant(to_tensor(pixels)))
        return np.asarray(maps.numpy()[: len(batch), ..., 0], np.float32)


def _with_mirror(model: Network) -> Network:
    def mean(images: tf.Tensor, training: bool) -> tf.Tensor:
        mirrored = tf.reverse(model(tf.reverse(images, [2]), training=training), [2])
        return (model(images, training=training) + mirrored) / 2

    return mean


def _frozen(model: Network, shape: tuple[int, ...]) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """The network as a graph of constants.

    With constants TensorFlow folds batch normalisation and ReLU into the convolutions, which
    makes the network a quarter faster on a CPU.
    """
    traced = tf.function(
        lambda images: model(images, training=False),
        input_signature=[tf.TensorSpec(shape, tf.float32)],
    )
    frozen: Callable[[tf.Tensor], list[tf.Tensor]] = convert_variables_to_constants_v2(
        traced.get_concrete_function()
    )
    return frozen
