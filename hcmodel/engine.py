"""The one door to Keras at run time: weights in, probability maps out."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
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


ZOOM = 5 / 6
"""Of the views that are zoomed out."""


class Engine:
    """A network in memory, ready to predict batches of one fixed size.

    A map is the mean of what the network says of the image and of its mirror; ``thorough`` adds
    both zoomed out, at twice the time. Raises ``WeightsError`` where the weights are not those of
    their card.
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
        views = (*_VIEWS, *_MORE_VIEWS) if thorough else _VIEWS
        self._predict = _frozen(network_model, (self.batch_size, *self._shape, 1), views)

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


def _frozen(
    model: keras.Model, shape: tuple[int, ...], views: Sequence[_View]
) -> Callable[[tf.Tensor], list[tf.Tensor]]:
    """The network, averaged over its views, as a graph of constants.

    With constants TensorFlow folds batch normalisation and ReLU into the convolutions, which
    makes the network a quarter faster on a CPU.
    """
    traced = tf.function(
        lambda images: _mean_over_views(model, images, views),
        input_signature=[tf.TensorSpec(shape, tf.float32)],
    )
    frozen: Callable[[tf.Tensor], list[tf.Tensor]] = convert_variables_to_constants_v2(
        traced.get_concrete_function()
    )
    return frozen


def _mean_over_views(model: keras.Model, images: tf.Tensor, views: Sequence[_View]) -> tf.Tensor:
    """Maps ``(B, H, W, 1)`` of the images, each the mean of what its views say."""
    seen = tf.concat([there(images) for there, _ in views], 0)
    maps = tf.split(model(seen, training=False), len(views))
    return tf.add_n([back(each) for (_, back), each in zip(views, maps, strict=True)]) / len(views)


def _mirrored(images: tf.Tensor) -> tf.Tensor:
    return tf.reverse(images, [2])


def _zoomed_out(images: tf.Tensor) -> tf.Tensor:
    height, width = images.shape[1:3]
    small = tf.image.resize(images, _small(images), antialias=True)
    top, left = (height - small.shape[1]) // 2, (width - small.shape[2]) // 2
    return tf.image.pad_to_bounding_box(small, top, left, height, width)


def _zoomed_in(maps: tf.Tensor) -> tf.Tensor:
    height, width = maps.shape[1:3]
    small_height, small_width = _small(maps)
    top, left = (height - small_height) // 2, (width - small_width) // 2
    crop = tf.image.crop_to_bounding_box(maps, top, left, small_height, small_width)
    return tf.image.resize(crop, (height, width))


def _small(images: tf.Tensor) -> tuple[int, int]:
    return round(ZOOM * images.shape[1]), round(ZOOM * images.shape[2])


_View = tuple[Callable[[tf.Tensor], tf.Tensor], Callable[[tf.Tensor], tf.Tensor]]
"""The way of an image to a view, and of the view's map back."""
_VIEWS: tuple[_View, ...] = ((tf.identity, tf.identity), (_mirrored, _mirrored))
_MORE_VIEWS: tuple[_View, ...] = (
    (_zoomed_out, _zoomed_in),
    (lambda images: _mirrored(_zoomed_out(images)), lambda maps: _zoomed_in(_mirrored(maps))),
)
