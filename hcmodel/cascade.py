"""From images to heads: each is looked at whole, from near its head, and along its outline.

From near, heads of all ages have one size on the raster: small ones gain pixels, and the network
need not learn the border of the skull at every scale. Along the outline, a second network sees the
image itself, at its own sharpness, and need not find a head any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hcmodel.ellipse_fit import HeadFit, fit_head
from hcmodel.engine import Engine
from hcmodel.head import Head
from hcmodel.preprocess import Prepared
from hcmodel.quality import is_convincing


def find_heads(
    images: Sequence[Prepared],
    engine: Engine,
    level: float | None = None,
    outline_scale: float | None = None,
) -> list[Head | None]:
    """One head per image, or ``None`` where a look shows nothing that may be called one.

    ``level``: the probability along whose line heads are fitted, ``outline_scale``: what found
    outlines are multiplied by; those of the card unless given.
    """
    card = engine.card
    level = card.level if level is None else level
    outline_scale = card.outline_scale if outline_scale is None else outline_scale
    wholes = _fits(images, engine, level)
    heads = [None if whole is None else Head(whole) for whole in wholes]
    if card.network.second_look:
        heads = _from_near(images, heads, engine, level)
    if card.network.outline_look:
        heads = _along_outlines(images, heads, engine, outline_scale)
    return heads


def _fits(images: Sequence[Prepared], engine: Engine, level: float) -> list[HeadFit | None]:
    """The fits that convince."""
    if not images:
        return []
    maps = engine.predict(images)
    fits = (fit_head(seen, image, level) for seen, image in zip(maps, images, strict=True))
    return [fit if fit is not None and is_convincing(fit) else None for fit in fits]


def _from_near(
    images: Sequence[Prepared], heads: Sequence[Head | None], engine: Engine, level: float
) -> list[Head | None]:
    looked: list[Head | None] = [None] * len(images)
    found = _found(heads)
    again = [engine.look_closer(images[index], head.ellipse) for index, head in found]
    for (index, head), near in zip(found, _fits(again, engine, level), strict=True):
        looked[index] = None if near is None else replace(head, near=near)
    return looked


def _along_outlines(
    images: Sequence[Prepared], heads: Sequence[Head | None], engine: Engine, scale: float
) -> list[Head | None]:
    looked = list(heads)
    found = _found(heads)
    if not found:
        return looked
    outlines = engine.correct([(images[index], head.ellipse) for index, head in found])
    for (index, head), outline in zip(found, outlines, strict=True):
        if outline is not None:
            outline = replace(outline, ellipse=outline.ellipse.scaled(scale))
            looked[index] = replace(head, outline=outline)
    return looked


def _found(heads: Sequence[Head | None]) -> list[tuple[int, Head]]:
    return [(index, head) for index, head in enumerate(heads) if head is not None]
