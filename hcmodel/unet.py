"""The U-Net, whole: one block and one network, by the configuration in ``unet_config``.

Shapes in comments are ``B H W C`` for the shipped configuration, 128x192 with a stem of stride 2.
"""

from __future__ import annotations

import keras
from keras import layers

from hcmodel.unet_config import UNetConfig


def conv2d_block(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    """Add two 3x3 convolutions in a row, each with batch normalisation and ReLU."""
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same", kernel_initializer="he_normal")(x)
        x = layers.BatchNormalization()(x)
        x = layers.ReLU()(x)
    return x


def get_unet(config: UNetConfig, side_outputs: int = 0) -> keras.Model:
    """Return the network from grey ``(B, H, W, 1)`` in [0, 1] to the probability of "head", alike.

    ``side_outputs`` adds that many coarser outputs (1/2, 1/4 ... of the decoder's raster) for
    deep supervision; they share the decoder's weights and fall away in the shipped network.
    """
    image = keras.Input((config.input_height, config.input_width, 1))  # B 128 192 1
    x = image
    if config.stem_stride > 1:
        stem = layers.Conv2D(config.width, 4, strides=config.stem_stride, padding="same")
        x = stem(x)  # B 64 96 16
    skips = []
    for level in range(config.depth):
        x = conv2d_block(x, config.width * 2**level)
        skips.append(x)  # B 64 96 16, B 32 48 32, B 16 24 64, B 8 12 128
        x = layers.MaxPooling2D()(x)
        x = layers.Dropout(config.dropout)(x)
    x = conv2d_block(x, config.width * 2**config.depth)  # B 4 6 256
    sides = []
    for level in reversed(range(config.depth)):
        filters = config.width * 2**level
        x = layers.Conv2DTranspose(filters, 3, strides=2, padding="same")(x)
        x = layers.Concatenate()([x, skips[level]])
        x = layers.Dropout(config.dropout)(x)
        x = conv2d_block(x, filters)  # B 8 12 128 ... B 64 96 16
        if 0 < level <= side_outputs:
            side = layers.Conv2D(1, 1, activation="sigmoid", dtype="float32", name=f"side_{level}")
            sides.append(side(x))
    if config.stem_stride > 1:
        head: layers.Layer = layers.Conv2DTranspose(
            1,
            4,
            strides=config.stem_stride,
            padding="same",
            activation="sigmoid",
            dtype="float32",
            name="head",
        )
    else:
        head = layers.Conv2D(1, 1, activation="sigmoid", dtype="float32", name="head")
    probability = head(x)  # B 128 192 1
    return keras.Model(image, [probability, *sides[::-1]] if sides else probability)
