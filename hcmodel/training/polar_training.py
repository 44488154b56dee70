"""How the stage along the contour is trained: on ellipses a little wrong, towards the truth."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from hcmodel.arrays import GreyImage, Tensor
from hcmodel.geometry import Ellipse
from hcmodel.polar import offsets, outline_tensor, unrolled
from hcmodel.polar_net import get_outline_net
from hcmodel.preprocess import mirror
from hcmodel.training.augment import Sample, appearance
from hcmodel.training.batches import Batches
from hcmodel.training.schedule import averaging_adamw

BATCH_SIZE = 16
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-3
LOOK = 0.5
"""How far appearance is varied, 1 being the widest."""


class Bands(Batches):
    """Batches of bands ``(B, ROWS, COLUMNS, CHANNELS)`` and offsets ``(B, DIRECTIONS)``.

    ``samples`` show a head each.
    """

    def __init__(self, samples: Sequence[Sample], *, augmented: bool) -> None:
        super().__init__(samples, [1] * len(samples), BATCH_SIZE, augmented=augmented)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        drawn = [self._draw(sample, rng) for sample, rng in self._batch(step)]
        bands = np.stack([band for band, _ in drawn])
        return outline_tensor(bands), np.stack([found for _, found in drawn])

    def _draw(self, sample: Sample, rng: np.random.Generator) -> tuple[GreyImage, Tensor]:
        pixels, head = sample
        assert head is not None
        if self._augmented and rng.random() < 0.5:
            head = head.transformed(mirror(pixels.shape[1]))
            pixels = np.ascontiguousarray(pixels[:, ::-1])
        start = disturbed(head, rng)
        band = unrolled(pixels, start)
        if self._augmented:
            band = appearance(band, rng, LOOK)
        return band, offsets(start, head).astype(np.float32)


def disturbed(head: Ellipse, rng: np.random.Generator) -> Ellipse:
    """Return the ellipse as the zoomed stage may find it, and somewhat worse."""
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
    """Return how far off the offsets are in each direction, and on average, where HC is lost."""
    apart = truth - found
    return ops.mean(ops.abs(apart), axis=1) + ops.abs(ops.mean(apart, axis=1))


def compiled_outline_net(epochs: int, steps: int) -> keras.Model:
    """Return the network, untrained, with all that ``epochs`` of so many ``steps`` need."""
    model = get_outline_net()
    optimizer = averaging_adamw(LEARNING_RATE, WEIGHT_DECAY, epochs, steps)
    model.compile(optimizer, loss=outline_loss)
    return model
