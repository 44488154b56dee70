"""What the training minimises: one value per image, from truth and probability ``(B, H, W, 1)``."""

from __future__ import annotations

import keras
from keras import ops

BORDER_PX = 9
BORDER_WEIGHT = 4.0


@keras.saving.register_keras_serializable("hcmodel")
def bce_dice(truth: keras.KerasTensor, probability: keras.KerasTensor) -> keras.KerasTensor:
    """Return binary cross-entropy plus soft Dice loss.

    Cross-entropy places the border, Dice keeps small heads from drowning in background; the
    smoothing of 1 makes an empty truth cost only what was predicted.
    """
    entropy = ops.mean(ops.binary_crossentropy(truth, probability), axis=(1, 2, 3))
    return entropy + _dice_loss(truth, probability)


@keras.saving.register_keras_serializable("hcmodel")
def border_bce_dice(truth: keras.KerasTensor, probability: keras.KerasTensor) -> keras.KerasTensor:
    """Return the same, but border pixels count up to ``1 + BORDER_WEIGHT`` times as much.

    What is border is told by the mean of the truth over ``BORDER_PX`` pixels around: half on the
    outline itself, all or nothing far from it.
    """
    inside = ops.average_pool(truth, BORDER_PX, strides=1, padding="same")
    weight = 1 + BORDER_WEIGHT * 4 * inside * (1 - inside)
    entropy = weight * ops.binary_crossentropy(truth, probability)
    return ops.mean(entropy, axis=(1, 2, 3)) + _dice_loss(truth, probability)


def _dice_loss(truth: keras.KerasTensor, probability: keras.KerasTensor) -> keras.KerasTensor:
    overlap = ops.sum(truth * probability, axis=(1, 2, 3))
    total = ops.sum(truth, axis=(1, 2, 3)) + ops.sum(probability, axis=(1, 2, 3))
    return 1 - (2 * overlap + 1) / (total + 1)


LOSSES = {"bce_dice": bce_dice, "border_bce_dice": border_bce_dice}
"""Those which Keras does not bring, by the names that recipes call them."""
