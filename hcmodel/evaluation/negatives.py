"""Images without a head: what an instrument must refuse, or at least flag."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from hcmodel.arrays import GreyImage, shape_of
from hcmodel.dataset.hc18 import read_grey
from hcmodel.drawing import noise_image
from hcmodel.evaluation.perturbations import Shown
from hcmodel.phantom import draw_phantom
from hcmodel.training.augment import background, fill_head, shuffle_tiles

Negative = Callable[[Shown, np.random.Generator], GreyImage]


def _inpainted(shown: Shown, rng: np.random.Generator) -> GreyImage:
    return fill_head(shown.pixels, shown.truth, rng)


def _beside(shown: Shown, _rng: np.random.Generator) -> GreyImage:
    return background(shown.pixels, shown.truth)


def _phantom(shown: Shown, rng: np.random.Generator) -> GreyImage:
    return draw_phantom(shape_of(shown.pixels), None, rng)


def _noise(shown: Shown, rng: np.random.Generator) -> GreyImage:
    return noise_image(shape_of(shown.pixels), rng)


def _flat(shown: Shown, rng: np.random.Generator) -> GreyImage:
    return np.full(shape_of(shown.pixels), rng.integers(0, 256), np.uint8)


def _photograph(shown: Shown, rng: np.random.Generator) -> GreyImage:
    """Return a part of the one photograph that comes with matplotlib: Grace Hopper's."""
    import matplotlib

    whole = read_grey(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg")
    rows, columns = whole.shape
    size = int(rng.uniform(0.4, 0.9) * min(rows, columns))
    top, left = int(rng.uniform(0, rows - size)), int(rng.uniform(0, columns - size))
    part = whole[top : top + size, left : left + size]
    return np.asarray(cv2.resize(part, shown.pixels.shape[::-1]), np.uint8)


NEGATIVES: dict[str, Negative] = {
    "head painted over": _inpainted,
    "beside the head": _beside,
    "tiles shuffled": lambda shown, rng: shuffle_tiles(shown.pixels, rng),
    "phantom without a head": _phantom,
    "noise": _noise,
    "one grey": _flat,
    "photograph": _photograph,
}
