"""What the look along the outline is trained with: ellipses a little wrong, and the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from hcmodel.geometry import Ellipse
from hcmodel.outline import offsets, outline_tensor, unrolled
from hcmodel.training.augment import Sample, appearance

BATCH_SIZE = 16
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-3
EMA_MOMENTUM = 0.99
LOOK = 0.5
"""How far appearance is varied, 1 being the widest."""


class Bands(keras.utils.PyDataset):
    """Batches of bands ``(B, ROWS, COLUMNS, CHANNELS)`` and offsets ``(B, DIRECTIONS)``.

    ``samples`` show a head each. Every draw has a generator of its own, so a resumed training sees
    the same stream; where nothing is ``augmented``, each epoch shows the same.
    """

    def __init__(self, samples: Sequence[Sample], seed: int, *, augmented: bool) -> None:
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=8)
        self._samples = samples
        self._seed = seed
        self._augmented = augmented
        self.epoch = 0

    def __len__(self) -> int:
        return math.ceil(len(self._samples) / BATCH_SIZE)

    def __getitem__(self, step: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        order = np.arange(len(self._samples))
        if self._augmented:
            order = np.random.default_rng([self._seed, self.epoch]).permutation(order)
        places = range(step * BATCH_SIZE, min((step + 1) * BATCH_SIZE, len(order)))
        drawn = [self._draw(self._samples[order[place]], place) for place in places]
        bands = np.stack([band for band, _ in drawn])
        return outline_tensor(bands), np.stack([found for _, found in drawn])

    def _draw(self, sample: Sample, place: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        pixels, head = sample
        assert head is not None
        epoch = self.epoch if self._augmented else 0
        rng = np.random.default_rng([self._seed, epoch, place])
        if self._augmented and rng.random() < 0.5:
            mirror = np.array([[-1.0, 0, pixels.shape[1] - 1], [0, 1, 0]])
            pixels, head = np.ascontiguousarray(pixels[:, ::-1]), head.transformed(mirror)
        start = disturbed(head, rng)
        band = unrolled(pixels, start)
        if self._augmented:
            band = appearance(band, rng, LOOK)
        return band, offsets(start, head).astype(np.float32)


def disturbed(head: Ellipse, rng: np.random.Generator) -> Ellipse:
    """The ellipse as a look from near may find it, and somewhat worse."""
    shift_x_px, shift_y_px = rng.normal(0, 0.03 * head.semi_axis_a_px, 2)
    zoom, stretch = np.exp(rng.normal(0, [0.025, 0.02]))
    return Ellipse(
        head.center_x_px + shift_x_px,
        head.center_y_px + shift_y_px,
        head.semi_axis_a_px * zoom * stretch,
        head.semi_axis_b_px * zoom / stretch,
        head.angle_rad + rng.normal(0, 0.06),
    )


@keras.saving.register_keras_serializable("hcmodel")
def outline_loss(truth: keras.KerasTensor, found: keras.KerasTensor) -> keras.KerasTensor:
    """How far off the offsets are in each direction, and on average, where HC is lost."""
    apart = truth - found
    return ops.mean(ops.abs(apart), axis=1) + ops.abs(ops.mean(apart, axis=1))
