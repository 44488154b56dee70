"""The one door to Keras at run time: weights in, probability maps, contours and planes out."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path

import numpy as np

from hcmodel.arrays import GreyImage, Tensor, shape_of
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

from hcmodel import gate, polar
from hcmodel.gate import axis_ratio, gate_tensor, seen_along
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.model_card import Card, WeightsError, verify
from hcmodel.plane import Gate, PlaneOdds
from hcmodel.polar import Contour, corrected, outline_tensor, unrolled
from hcmodel.preprocess import Prepared, around, prepare, to_tensor, whole_image
from hcmodel.uncertainty import ErrorModel

BATCH_SIZE_CPU = 8
BATCH_SIZE_GPU = 32


Network = Callable[..., tf.Tensor]
"""From a batch and ``training`` to what the network says of it."""
Graph = Callable[[tf.Tensor], list[tf.Tensor]]


class Stage(Enum):
    """What a network of the file answers, in the order in which they stand there."""

    MAPS = "maps"
    CONTOURS = "contours"
    PLANES = "planes"


logger = logging.getLogger(__name__)


class NetworkError(RuntimeError):
    """The network could not answer; the message is the kind of TensorFlow's error."""


class OutOfMemory(Exception):
    """Not even half a batch fits into the memory that the network runs in."""


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
            loaded = keras.saving.load_model(weights, compile=False)
        except (ValueError, OSError) as error:
            raise WeightsError(f"{weights.name} cannot be loaded: {error}") from error
        stages = _stages(self.card)
        if len(loaded.outputs) != len(stages):
            wanted = ", ".join(stage.value for stage in stages)
            raise WeightsError(f"{weights.name} holds {len(loaded.outputs)} networks, not {wanted}")
        self._networks: dict[Stage, Network] = {
            stage: keras.Model(tensor, answer)
            for stage, tensor, answer in zip(stages, loaded.inputs, loaded.outputs, strict=True)
        }
        if thorough:
            self._networks[Stage.MAPS] = _with_mirror(self._networks[Stage.MAPS])
        self._graphs = self._for_batches()
        self._halved = False

    @property
    def model(self) -> str:
        """The measuring instrument's version, as it stands in every row."""
        return f"{self.card.model}-thorough" if self._thorough else self.card.model

    @property
    def error_model(self) -> ErrorModel | None:
        """What tells how far a measurement may be off, where the card has it."""
        return self.card.doubt

    @property
    def gate(self) -> Gate | None:
        """What decides about the plane, where the card has it."""
        return self.card.gate

    def prepare(self, pixels: GreyImage, spacing: Spacing | None) -> Prepared:
        """Return ``(rows, columns)`` uint8 grey, whole, on the network's raster.

        An image of unknown ``spacing`` is taken to have square pixels.
        """
        shape = shape_of(pixels)
        aspect = 1.0 if spacing is None else spacing.row_mm / spacing.column_mm
        keep_aspect = self.card.network.keep_aspect
        to_network = whole_image(shape, self._shape, keep_aspect=keep_aspect, pixel_aspect=aspect)
        return prepare(pixels, to_network, self._shape, aspect)

    def zoom(self, image: Prepared, head: Ellipse) -> Prepared:
        """Return the same image on the network's raster, zoomed in on a head of it."""
        aspect = image.pixel_aspect
        to_network = around(head, self._shape, aspect)
        return prepare(image.original, to_network, self._shape, aspect)

    def predict(self, batch: Sequence[Prepared]) -> Tensor:
        """Return the ``(B, H, W)`` probability of "head", ``batch_size`` images at a time.

        A smaller batch is padded: one fixed shape is traced once. Where memory does not hold a
        batch, they are halved for good, but once only; then it raises ``OutOfMemory``. Raises
        ``NetworkError`` where TensorFlow cannot answer for another reason.
        """
        pixels = np.stack([each.pixels for each in batch])
        return self._answers(Stage.MAPS, to_tensor(pixels))[..., 0]

    def correct(self, batch: Sequence[tuple[Prepared, Ellipse]]) -> list[Contour | None]:
        """Return each head's contour in its image, or ``None``; raises as ``predict`` does."""
        bands = np.stack([unrolled(image.original, head) for image, head in batch])
        found = self._answers(Stage.CONTOURS, outline_tensor(bands)).astype(np.float64)
        return [corrected(head, each) for (_, head), each in zip(batch, found, strict=True)]

    def recognise(self, batch: Sequence[tuple[Prepared, Ellipse]]) -> list[PlaneOdds]:
        """Return what each outline in its image seems to be around; raises as ``predict`` does."""
        crops = [seen_along(image.original, head, image.pixel_aspect) for image, head in batch]
        ratios = [axis_ratio(head, image.pixel_aspect) for image, head in batch]
        return self.tell_planes(np.stack(crops), ratios)

    def tell_planes(self, crops: GreyImage, axis_ratios: Sequence[float]) -> list[PlaneOdds]:
        """Return the same of ``(B, ROWS, COLUMNS)`` uint8 of ``seen_along``; raises likewise."""
        odds = self._answers(Stage.PLANES, gate_tensor(crops, axis_ratios))
        return [PlaneOdds(tuple(row)) for row in odds.astype(np.float64).tolist()]

    def _for_batches(self) -> dict[Stage, Graph]:
        shapes = {
            Stage.MAPS: (*self._shape, 1),
            Stage.CONTOURS: (polar.ROWS, polar.COLUMNS, polar.CHANNELS),
            Stage.PLANES: (gate.ROWS, gate.COLUMNS, gate.CHANNELS),
        }
        return {
            stage: frozen(network, (self.batch_size, *shapes[stage]))
            for stage, network in self._networks.items()
        }

    def _answers(self, network: Stage, tensors: Tensor) -> Tensor:
        try:
            return self._in_batches(self._graphs[network], tensors)
        except tf.errors.ResourceExhaustedError as error:
            if self._halved or self.batch_size == 1:
                raise OutOfMemory(f"at {self.batch_size} images at once") from error
        except tf.errors.OpError as error:
            raise NetworkError(type(error).__name__) from error
        self._halved = True
        self.batch_size //= 2
        logger.warning("out of memory: %d images at once from now on", self.batch_size)
        self._graphs = self._for_batches()
        return self._answers(network, tensors)

    def _in_batches(self, graph: Graph, tensors: Tensor) -> Tensor:
        answers = []
        for start in range(0, len(tensors), self.batch_size):
            part = tensors[start : start + self.batch_size]
            padding = [(0, self.batch_size - len(part)), *[(0, 0)] * (part.ndim - 1)]
            (answer,) = graph(tf.constant(np.pad(part, padding)))
            answers.append(answer.numpy()[: len(part)])
        return np.concatenate(answers)


def _stages(card: Card) -> list[Stage]:
    """Return what the file of a card must hold."""
    there = {Stage.CONTOURS: card.network.outline_look, Stage.PLANES: card.gate is not None}
    return [stage for stage in Stage if there.get(stage, True)]


def _with_mirror(model: Network) -> Network:
    def mean(images: tf.Tensor, training: bool) -> tf.Tensor:
        mirrored = tf.reverse(model(tf.reverse(images, [2]), training=training), [2])
        return (model(images, training=training) + mirrored) / 2

    return mean


def frozen(model: Network, shape: tuple[int, ...]) -> Graph:
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
