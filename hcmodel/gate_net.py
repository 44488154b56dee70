"""The network that tells what an outline is around; small, since it only sees what lies inside."""

from __future__ import annotations

import keras
from keras import layers

from hcmodel.gate import CHANNELS, COLUMNS, ROWS
from hcmodel.plane import PLANES

WIDTH = 32


def get_gate_net() -> keras.Model:
    """Return the network: crops ``(B, ROWS, COLUMNS, CHANNELS)`` to odds of planes ``(B, 7)``."""
    seen = keras.Input((ROWS, COLUMNS, CHANNELS), name="gate")  # B 80 104 2
    x = _convolved(seen, WIDTH // 2, 5, stride=2)  # B 40 52 16
    for level in (1, 2, 3):
        x = layers.MaxPooling2D()(x)
        for _ in range(2):
            x = _convolved(x, level * WIDTH, 3)  # B 20 26 32, B 10 13 64, B 5 6 96
    mean, most = layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)
    x = layers.Dropout(0.3)(layers.Concatenate()([mean, most]))  # B 192
    odds = layers.Dense(len(PLANES), activation="softmax", dtype="float32", name="planes")(x)
    return keras.Model(seen, odds, name="gate_net")


def _convolved(x: keras.KerasTensor, filters: int, size: int, stride: int = 1) -> keras.KerasTensor:
    """Return a convolution, normalised, with ReLU."""
    x = layers.Conv2D(
        filters, size, stride, padding="same", use_bias=False, kernel_initializer="he_normal"
    )(x)
    x = layers.BatchNormalization(momentum=0.95)(x)
    return layers.ReLU()(x)
