"""What the training minimises."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable("hcmodel")
def bce_dice(truth: keras.KerasTensor, probability: keras.KerasTensor) -> keras.KerasTensor:
    """Binary cross-entropy plus soft Dice loss, one value per image.

    Cross-entropy places the border, Dice keeps small heads from drowning in background; the
    smoothing of 1 makes an empty truth cost only what was predicted.
    """
    entropy = ops.mean(ops.binary_crossentropy(truth, probability), axis=(1, 2, 3))
    overlap = ops.sum(truth * probability, axis=(1, 2, 3))
    total = ops.sum(truth, axis=(1, 2, 3)) + ops.sum(probability, axis=(1, 2, 3))
    return entropy + 1 - (2 * overlap + 1) / (total + 1)
