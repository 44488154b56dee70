"""The one door to the networks: weights in, probability maps, contours and planes out."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

import numpy as np

from hcmodel.arrays import GreyImage, Tensor, shape_of
from hcmodel.backends.choice import AUTO, open_backend
from hcmodel.backends.stage import MemoryExhausted, Stage
from hcmodel.gate import axis_ratio, gate_tensor, seen_along
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.model_card import Card, verify
from hcmodel.plane import Gate, PlaneOdds
from hcmodel.polar import Contour, corrected, outline_tensor, unrolled
from hcmodel.preprocess import Prepared, around, prepare, to_tensor, whole_image
from hcmodel.uncertainty import ErrorModel

logger = logging.getLogger(__name__)


class OutOfMemory(Exception):
    """Not even half a batch fits into the memory that the network runs in."""


class Engine:
    """Networks in memory; ``lanes`` threads may ask it at the same time, for a batch each.

    ``backend``: the library that runs it, one of ``BACKENDS``. A ``thorough`` map is the mean of
    what the network says of the image and of its mirror, in twice the time. Raises
    ``WeightsError`` where the weights are not those of their card.
    """

    def __init__(
        self,
        weights: Path,
        batch_size: int | None = None,
        *,
        thorough: bool = False,
        backend: str = AUTO,
    ) -> None:
        self.card: Card = verify(weights)
        self._thorough = thorough
        network = self.card.network
        self._shape = (network.input_height, network.input_width)
        self._backend = open_backend(weights, self.card, backend)
        self.batch_size = batch_size or self._backend.usual_batch_size
        self.lanes = self._backend.lanes
        self._halved = False
        self._halving = Lock()

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

        Where memory does not hold a batch, they are halved for good, but once only; then it raises
        ``OutOfMemory``. Raises ``NetworkError`` where the backend cannot answer for another reason.
        """
        images = to_tensor(np.stack([each.pixels for each in batch]))
        maps = self._answers(Stage.MAPS, images)
        if self._thorough:
            mirrored = self._answers(Stage.MAPS, np.ascontiguousarray(images[:, :, ::-1]))
            maps = (maps + mirrored[:, :, ::-1]) / np.float32(2)
        return maps[..., 0]

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

    def _answers(self, stage: Stage, tensors: Tensor) -> Tensor:
        size = self.batch_size
        try:
            return np.concatenate(
                [
                    self._backend.answer(stage, tensors[start:][:size], size)
                    for start in range(0, len(tensors), size)
                ]
            )
        except MemoryExhausted as error:
            with self._halving:
                if size == self.batch_size:  # else another lane has halved them meanwhile
                    self._halve(error)
        return self._answers(stage, tensors)

    def _halve(self, error: MemoryExhausted) -> None:
        if self._halved or self.batch_size == 1:
            raise OutOfMemory(f"at {self.batch_size} images at once") from error
        self._halved = True
        self.batch_size //= 2
        logger.warning("out of memory: %d images at once from now on", self.batch_size)
