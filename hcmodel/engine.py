"""The one door to Keras at run time: weights in, probability maps out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # else TensorFlow greets at every start

import keras
import tensorflow as tf

from hcmodel.card import Card, WeightsError, verify
from hcmodel.preprocess import Prepared, prepare, to_tensor

BATCH_SIZE_CPU = 8
BATCH_SIZE_GPU = 32


class Engine:
    """A network in memory, ready to predict batches of one fixed size.

    Raises ``WeightsError`` where the weights are not those of their card.
    """

    def __init__(self, weights: Path, batch_size: int | None = None) -> None:
        self.card: Card = verify(weights)
        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        self.batch_size = batch_size or (BATCH_SIZE_GPU if on_gpu else BATCH_SIZE_CPU)
        network = self.card.network
        self._shape = (network.input_height, network.input_width)
        try:
            self._model = keras.saving.load_model(weights, compile=False)
        except (ValueError, OSError) as error:
            raise WeightsError(f"{weights.name} cannot be loaded: {error}") from error
        self._predict = tf.function(
            lambda images: self._model(images, training=False),
            input_signature=[tf.TensorSpec((self.batch_size, *self._shape, 1), tf.float32)],
        )

    @property
    def model(self) -> str:
        """The measuring instrument's version, as it stands in every row."""
        return self.card.model

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
        maps: NDArray[np.float32] = self._predict(to_tensor(pixels)).numpy()
        return maps[: len(batch), ..., 0]
