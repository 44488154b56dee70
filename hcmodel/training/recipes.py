"""The two ways to train that this project knows, as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hcmodel.training.augment import Sample, Scanners, flip_left_right
from hcmodel.unet_config import UNetConfig

Augment = Callable[[Sample, np.random.Generator], Sample]


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides a training besides its data.

    ``late_augment`` takes over from ``augment`` in the last ``late_epochs``.
    """

    name: str
    network: UNetConfig
    augment: Augment
    loss: str
    epochs: int
    batch_size: int = 8
    learning_rate: float = 1e-3
    cosine: bool = False
    ema_momentum: float | None = None
    side_outputs: int = 0
    late_augment: Augment | None = None
    late_epochs: int = 0
    bfloat16: bool = False


NOTEBOOK = Recipe(
    name="notebook",
    network=UNetConfig(input_height=256, input_width=256, width=16, depth=4),
    augment=flip_left_right,
    loss="binary_crossentropy",
    epochs=20,
)

HC18 = Recipe(
    name="hc18",
    network=UNetConfig(
        input_height=192, input_width=288, width=16, depth=4, stem_stride=2, keep_aspect=True
    ),
    augment=Scanners(view=0.25, look=0.15, other=0.3),
    loss="bce_dice",
    epochs=45,
    batch_size=4,
    learning_rate=1.5e-3,
    cosine=True,
    ema_momentum=0.9975,
    side_outputs=2,
    late_augment=Scanners(view=0.2, look=0.1, other=0.1, phantoms=0.02, negatives=0.04),
    late_epochs=5,
    bfloat16=True,
)

RECIPES = {recipe.name: recipe for recipe in (NOTEBOOK, HC18)}
