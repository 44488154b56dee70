"""The ways to train that this project knows, as data: two recipes, and what one was chosen by.

``docs/experiments.md`` holds the figures of all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hcmodel.training.augment import (
    OTHER_LOOK,
    OTHER_VIEW,
    Sample,
    Scanners,
    flip_left_right,
)
from hcmodel.unet_config import UNetConfig

Augment = Callable[[Sample, np.random.Generator], Sample]


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides a training besides its data.

    ``late_augment`` takes over from ``augment`` in the last ``late_epochs``. ``first`` is trained
    before, in a folder of its own, and this one goes on from its weights.
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
    first: Recipe | None = None

    def with_epochs(self, change: Callable[[int], int]) -> Recipe:
        """The same with other numbers of epochs, also of what comes first."""
        first = None if self.first is None else self.first.with_epochs(change)
        return replace(self, epochs=change(self.epochs), first=first)


NOTEBOOK = Recipe(
    name="notebook",
    network=UNetConfig(input_height=256, input_width=256, width=16, depth=4),
    augment=flip_left_right,
    loss="binary_crossentropy",
    epochs=20,
)

NEAR = Scanners(view=0.15, look=0.05)
VARIED = Scanners(view=0.35, look=0.1, other=0.1)
FAR = Scanners(view=OTHER_VIEW, look=OTHER_LOOK)

COARSE = Recipe(
    name="hc18-coarse",
    network=UNetConfig(
        input_height=192, input_width=288, width=16, depth=4, stem_stride=2, keep_aspect=True
    ),
    augment=VARIED,
    loss="bce_dice",
    epochs=40,
    batch_size=4,
    learning_rate=1.5e-3,
    cosine=True,
    ema_momentum=0.9975,
    side_outputs=2,
    late_augment=NEAR,
    late_epochs=5,
    bfloat16=True,
)

HC18 = replace(
    COARSE,
    name="hc18",
    network=replace(COARSE.network, input_height=256, input_width=384),
    epochs=12,
    learning_rate=8e-4,
    late_epochs=4,
    first=COARSE,
)
"""Most epochs on a coarse raster, where they are cheap; the last ones on a finer one."""

SMALL = replace(
    COARSE,
    name="small",
    network=replace(COARSE.network, input_height=128, input_width=192),
    epochs=20,
    late_epochs=3,
)
"""``COARSE`` on a coarser raster for fewer epochs: cheap enough to vary one choice at a time."""

ABLATIONS = (
    COARSE,
    replace(COARSE, name="hc18-near", epochs=45, augment=NEAR),
    replace(
        COARSE,
        name="hc18-negatives",
        epochs=45,
        augment=Scanners(view=0.25, look=0.15, other=0.3, phantoms=0.05, negatives=0.06),
        late_augment=Scanners(view=0.2, look=0.1, other=0.1, phantoms=0.02, negatives=0.04),
    ),
    replace(
        COARSE,
        name="hc18-far",
        network=HC18.network,
        epochs=45,
        batch_size=8,
        ema_momentum=0.995,
        bfloat16=False,
        augment=Scanners(view=0.8, look=0.5, phantoms=0.05, negatives=0.06),
        late_augment=Scanners(view=0.4, look=0.25, phantoms=0.05, negatives=0.06),
        late_epochs=6,
    ),
    SMALL,
    replace(SMALL, name="small-squashed", network=replace(SMALL.network, keep_aspect=False)),
    replace(SMALL, name="small-wide", network=replace(SMALL.network, width=24)),
    replace(SMALL, name="small-bce", loss="binary_crossentropy"),
    replace(SMALL, name="small-one-output", side_outputs=0),
    replace(SMALL, name="small-no-averaging", ema_momentum=None),
    replace(SMALL, name="small-batch-8", batch_size=8),
    replace(SMALL, name="small-float32", bfloat16=False),
    replace(SMALL, name="small-flips", augment=flip_left_right, late_augment=None),
    replace(SMALL, name="small-near", augment=NEAR, late_augment=None),
    replace(SMALL, name="small-far", augment=FAR, late_augment=None),
    replace(
        SMALL,
        name="small-negatives",
        augment=replace(VARIED, phantoms=0.05, negatives=0.06),
    ),
)

RECIPES = {recipe.name: recipe for recipe in (NOTEBOOK, HC18, *ABLATIONS)}
