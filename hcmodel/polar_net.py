"""The network of the stage along a head's contour; small, since the band it sees is."""

from __future__ import annotations

import keras
from keras import layers

from hcmodel.polar import CHANNELS, COLUMNS, DIRECTIONS, ROWS

WIDTH = 16
"""Filters of the first block."""
_OFFSET_UNIT = 0.1
"""Offsets are a few hundredths: so scaled, the last layer's weights need not be tiny."""


def get_outline_net() -> keras.Model:
    """Return the network from bands ``(B, ROWS, COLUMNS, CHANNELS)`` to ``(B, DIRECTIONS)``.

    Its answers are offsets along rays, as shares of the distance from the centre.
    """
    band = keras.Input((ROWS, COLUMNS, CHANNELS), name="outline")  # B 64 128 3
    x = band
    for level, halved in enumerate([(2, 1), (2, 2), (2, 2)]):
        for _ in range(2):
            x = _convolved(x, WIDTH * 2**level, (3, 3))
        x = layers.MaxPooling2D(halved)(x)  # B 32 128 16, B 16 64 32, B 8 32 64
    x = _convolved(x, WIDTH * 4, (3, 3))
    x = layers.Conv2D(WIDTH * 8, (ROWS // 8, 1), activation="relu")(x)  # B 1 32 128
    x = layers.Dropout(0.2)(x)
    x = _convolved(x, WIDTH * 8, (1, 5))
    around = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Concatenate()([x, layers.UpSampling2D((1, DIRECTIONS))(around)])
    x = _convolved(x, WIDTH * 8, (1, 5))
    x = layers.Reshape((DIRECTIONS,))(layers.Conv2D(1, 1)(x))
    return keras.Model(band, layers.Rescaling(_OFFSET_UNIT)(x), name="outline_net")


def _convolved(x: keras.KerasTensor, filters: int, size: tuple[int, int]) -> keras.KerasTensor:
    """Add convolution, normalisation and ReLU; the band's ends meet, as the outline is closed."""
    columns, beyond = x.shape[2], size[1] // 2
    last = layers.Cropping2D(((0, 0), (columns - beyond, 0)))(x)
    first = layers.Cropping2D(((0, 0), (0, columns - beyond)))(x)
    x = layers.Concatenate(axis=2)([last, x, first])
    x = layers.ZeroPadding2D((size[0] // 2, 0))(x)
    x = layers.Conv2D(filters, size, use_bias=False, kernel_initializer="he_normal")(x)
    x = layers.BatchNormalization(momentum=0.95)(x)
    return layers.ReLU()(x)
