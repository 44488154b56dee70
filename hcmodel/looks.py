"""From images to heads: each is looked at whole, and once more from near its head.

From near, heads of all ages have one size on the raster: small ones gain pixels, and the network
need not learn the border of the skull at every scale.
"""

from __future__ import annotations

from collections.abc import Sequence

from hcmodel.engine import Engine
from hcmodel.fit import Head, HeadFit, fit_head
from hcmodel.preprocess import Prepared
from hcmodel.quality import is_convincing


def find_heads(
    images: Sequence[Prepared], engine: Engine, level: float | None = None
) -> list[Head | None]:
    """One head per image, or ``None`` where a look shows nothing that may be called one.

    ``level``: the probability along whose line heads are fitted, that of the card unless given.
    """
    level = engine.card.level if level is None else level
    wholes = _fits(images, engine, level)
    if not engine.card.network.second_look:
        return [None if whole is None else Head(whole) for whole in wholes]
    heads: list[Head | None] = [None] * len(images)
    found = [(index, whole) for index, whole in enumerate(wholes) if whole is not None]
    again = [engine.look_closer(images[index], whole.ellipse) for index, whole in found]
    for (index, whole), near in zip(found, _fits(again, engine, level), strict=True):
        heads[index] = None if near is None else Head(whole, near)
    return heads


def _fits(images: Sequence[Prepared], engine: Engine, level: float) -> list[HeadFit | None]:
    """The fits that convince."""
    maps = engine.predict(images)
    fits = (fit_head(seen, image, level) for seen, image in zip(maps, images, strict=True))
    return [fit if fit is not None and is_convincing(fit) else None for fit in fits]
