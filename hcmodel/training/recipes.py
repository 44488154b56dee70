"""The ways to train that this project knows, as data: two recipes, and what one was chosen by.

``docs/experiments.md`` holds the figures of all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hcmodel.arrays import FloatArray
from hcmodel.training.augment import (
    OTHER_LOOK,
    OTHER_VIEW,
    Raster,
    Sample,
    Scanners,
    flip_left_right,
)
from hcmodel.unet_config import UNetConfig

Augment = Callable[[Sample, FloatArray, Raster, np.random.Generator], Sample]
"""From an image, the map that shows all of it, and the raster, to a variation on the raster."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides a training besides its data.

    ``late_augment`` takes over from ``augment`` in the last ``late_epochs``. Images below 14 and
    above 28 weeks, of which HC18 has few, come ``rare_turns`` times in an epoch. A network with an
    contour stage has that trained for ``outline_epochs``.
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
    rare_turns: int = 1
    late_augment: Augment | None = None
    late_epochs: int = 0
    outline_epochs: int = 40
    bfloat16: bool = False


NOTEBOOK = Recipe(
    name="notebook",
    network=UNetConfig(input_height=256, input_width=256, width=16, depth=4),
    augment=flip_left_right,
    loss="binary_crossentropy",
    epochs=20,
)

MILD = Scanners(view=0.15, look=0.05, near=0.65)
VARIED = Scanners(view=0.35, look=0.1, other=0.3, near=0.65)
FAR = Scanners(view=OTHER_VIEW, look=OTHER_LOOK, near=0.65)

HC18 = Recipe(
    name="hc18",
    network=UNetConfig(
        input_height=128,
        input_width=192,
        width=16,
        depth=4,
        stem_stride=2,
        keep_aspect=True,
        second_look=True,
        outline_look=True,
    ),
    augment=VARIED,
    loss="bce_dice",
    epochs=45,
    batch_size=8,
    learning_rate=1.5e-3,
    cosine=True,
    ema_momentum=0.995,
    side_outputs=2,
    rare_turns=2,
    late_augment=MILD,
    late_epochs=6,
    bfloat16=True,
)

TWO_LOOKS = replace(HC18, name="hc18-two-looks", network=replace(HC18.network, outline_look=False))
SMALL = replace(TWO_LOOKS, name="small", epochs=12, late_epochs=2)
"""For fewer epochs, without the outline look: cheap enough to vary one choice at a time."""

ONE_LOOK = replace(SMALL.network, second_look=False)

ABLATIONS = (
    TWO_LOOKS,
    SMALL,
    replace(
        SMALL,
        name="small-one-look",
        network=ONE_LOOK,
        augment=replace(VARIED, near=0.0),
        late_augment=replace(MILD, near=0.0),
    ),
    replace(
        SMALL,
        name="small-squashed",
        network=replace(ONE_LOOK, keep_aspect=False),
        augment=replace(VARIED, near=0.0),
        late_augment=replace(MILD, near=0.0),
    ),
    replace(SMALL, name="small-bce", loss="binary_crossentropy"),
    replace(SMALL, name="small-border", loss="border_bce_dice"),
    replace(SMALL, name="small-one-output", side_outputs=0),
    replace(SMALL, name="small-no-averaging", ema_momentum=None),
    replace(SMALL, name="small-even-turns", rare_turns=1),
    replace(SMALL, name="small-mild", augment=MILD),
    replace(SMALL, name="small-far", augment=FAR),
    replace(SMALL, name="small-negatives", augment=replace(VARIED, phantoms=0.05, negatives=0.06)),
    replace(SMALL, name="small-flips", network=ONE_LOOK, augment=flip_left_right, late_epochs=0),
)

RECIPES = {recipe.name: recipe for recipe in (NOTEBOOK, HC18, *ABLATIONS)}
