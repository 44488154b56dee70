"""How the gate is trained: outlines of two hospitals, evenly by plane, varied as scanners vary.

One core takes about four minutes for a fold of HC18 and 1,085 images of other planes; the model
card tells what to expect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from hcmodel.arrays import FloatArray, GreyImage, Tensor
from hcmodel.gate import COLUMNS, ROWS, SEMI_AXIS_PX, gate_tensor
from hcmodel.gate_net import get_gate_net
from hcmodel.plane import PLANES
from hcmodel.training.augment import appearance
from hcmodel.training.batches import SEED, Batches
from hcmodel.training.outlines import SHARES, WIDE_RASTER, WIDE_SEMI_AXIS_PX, Outlined
from hcmodel.training.schedule import averaging_adamw

BATCH_SIZE = 32
EPOCHS, EPOCH_OUTLINES = 24, 2500
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 5e-2
SMOOTHING = 0.03
"""Share of the loss that keeps every plane possible, so that odds stay odds."""
LOOK = 0.6
"""How far appearance is varied, 1 being the widest."""
MIXED = 0.2
"""Share of the batches whose outlines are blended in pairs (mixup: Zhang et al. 2018)."""
CODED, COVERED = 0.4, 0.25
"""Shares of the outlines that go through JPEG, as one of the sources did, and that lose a patch."""
TURN_RAD, ZOOM, STRETCH, SHIFT = 0.1, 0.06, 0.035, 0.035
"""Deviations by which outlines are worse than those found; shift in semi-axes."""


class OutlineBatches(Batches):
    """Batches of tensors and of what they may be, each label as often as its share says."""

    def __init__(self, outlines: Sequence[Outlined], *, augmented: bool) -> None:
        super().__init__((), (), BATCH_SIZE, augmented=augmented)
        self._outlines = outlines
        self._pools = {
            label: [place for place, each in enumerate(outlines) if each.label == label]
            for label in SHARES
        }
        self._order = self._drawn()

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        epoch = self.epoch if self._augmented else 0
        rng = np.random.default_rng([SEED, epoch, step])
        places = self._drawn()[step * BATCH_SIZE :][:BATCH_SIZE]
        chosen = [self._outlines[place] for place in places]
        views = [varied(each, rng) if self._augmented else plain(each) for each in chosen]
        seen = gate_tensor(np.stack([pixels for pixels, _ in views]), [ratio for _, ratio in views])
        allowed = np.stack([each.allowed for each in chosen])
        return blended(seen, allowed, rng, share=MIXED if self._augmented else 0.0)

    def _drawn(self) -> NDArray[np.intp]:
        """Return the places of one epoch's outlines."""
        rng = np.random.default_rng([SEED, self.epoch if self._augmented else 0])
        drawn = [np.empty(0, np.intp)]
        for label, pool in self._pools.items():
            count = EPOCH_OUTLINES * SHARES[label] // sum(SHARES.values())
            if pool:
                weights = np.array([self._outlines[place].weight for place in pool])
                again = count > len(pool)
                drawn.append(rng.choice(pool, count, replace=again, p=weights / weights.sum()))
        return rng.permutation(np.concatenate(drawn))


def plain(outline: Outlined) -> tuple[GreyImage, float]:
    """Return ``(ROWS, COLUMNS)`` uint8 as the gate sees an outline, and its b/a."""
    return _view(outline.pixels, np.eye(2), np.zeros(2)), outline.axis_ratio


def varied(outline: Outlined, rng: np.random.Generator) -> tuple[GreyImage, float]:
    """Return the same as another scanner and a worse outline would show it."""
    pixels = outline.pixels
    if rng.random() < CODED:
        quality = int(rng.integers(35, 95))
        coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        pixels = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
    turn_rad = rng.normal(0, TURN_RAD)
    zoom, stretch = np.exp(rng.normal(0, [ZOOM, STRETCH]))
    mirrors = rng.choice([-1.0, 1.0], 2)
    cos, sin = math.cos(turn_rad), math.sin(turn_rad)
    linear = zoom * np.array([[cos, -sin], [sin, cos]]) @ np.diag(mirrors * [stretch, 1 / stretch])
    seen = _view(pixels, linear, rng.normal(0, SHIFT * SEMI_AXIS_PX, 2))
    seen = appearance(seen, rng, LOOK)
    if rng.random() < COVERED:
        height, width = rng.integers(8, [28, 36])
        top, left = rng.integers(0, [ROWS - height, COLUMNS - width])
        seen[top : top + height, left : left + width] = int(seen.mean())
    ratio = outline.axis_ratio * math.exp(rng.normal(0, ZOOM / 2))
    return seen, float(np.clip(ratio, 0.5, 1))


def _view(pixels: GreyImage, linear: FloatArray, shift_px: FloatArray) -> GreyImage:
    linear = SEMI_AXIS_PX / WIDE_SEMI_AXIS_PX * linear
    middle = np.array([WIDE_RASTER[1] - 1, WIDE_RASTER[0] - 1]) / 2
    onto = np.array([COLUMNS - 1, ROWS - 1]) / 2 + shift_px - linear @ middle
    seen = cv2.warpAffine(pixels, np.column_stack([linear, onto]), (COLUMNS, ROWS))
    return np.asarray(seen, np.uint8)


def blended(
    seen: Tensor, allowed: Tensor, rng: np.random.Generator, share: float
) -> tuple[Tensor, Tensor]:
    """Return a batch, a ``share`` of them blended in pairs, and what each half may be.

    The second is ``(B, 2 * planes + 1)``: what one half may be, what the other, the first's part.
    """
    part, other = np.float32(1), np.arange(len(seen))
    if rng.random() < share:
        part, other = np.float32(rng.beta(0.4, 0.4)), rng.permutation(len(seen))
    parts = np.full((len(seen), 1), part)
    return (
        part * seen + (1 - part) * seen[other],
        np.concatenate([allowed, allowed[other], parts], axis=1),
    )


@keras.saving.register_keras_serializable("hcmodel")
def gate_loss(allowed: keras.KerasTensor, odds: keras.KerasTensor) -> keras.KerasTensor:
    """Return the negative logarithm of what is given to the allowed planes together."""
    planes = len(PLANES)
    odds = ops.clip(odds, 1e-6, 1)
    one, other = (
        -ops.log(ops.clip(ops.sum(half * odds, axis=-1), 1e-6, 1))
        for half in (allowed[:, :planes], allowed[:, planes : 2 * planes])
    )
    part = allowed[:, -1]
    blend = part * one + (1 - part) * other
    return (1 - SMOOTHING) * blend - SMOOTHING * ops.mean(ops.log(odds), axis=-1)


def compiled_gate_net(steps: int) -> keras.Model:
    """Return the network, untrained, for epochs of so many steps."""
    model = get_gate_net()
    optimizer = averaging_adamw(LEARNING_RATE, WEIGHT_DECAY, EPOCHS, steps)
    model.compile(optimizer, loss=gate_loss)
    return model
