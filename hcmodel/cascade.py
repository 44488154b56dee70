"""From images to heads, in up to three stages: whole, zoomed in on the head, along its contour.

Zoomed, heads of all ages have one size on the raster: small ones gain pixels, and the network
need not learn the border of the skull at every scale. Along the contour, a second network sees the
image itself, at its own sharpness, and need not find a head any more. What was outlined is then
judged within its image: by the gate, by the edge of the sector, by its grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hcmodel.ellipse_fit import HeadFit, fit_head
from hcmodel.engine import Engine
from hcmodel.grey_check import is_inverted, is_squeezed
from hcmodel.head import Head
from hcmodel.preprocess import Prepared
from hcmodel.quality import is_convincing
from hcmodel.sector import beyond_sector


def find_heads(
    images: Sequence[Prepared],
    engine: Engine,
    iso_level: float | None = None,
    outline_scale: float | None = None,
) -> list[Head | None]:
    """Return one head per image, or ``None`` where a stage shows nothing that may be called one.

    ``iso_level``: the probability along whose line heads are fitted, ``outline_scale``: what found
    contours are multiplied by; those of the card unless given. Raises ``OutOfMemory`` or
    ``NetworkError`` where the engine cannot answer.
    """
    card = engine.card
    iso_level = card.level if iso_level is None else iso_level
    outline_scale = card.outline_scale if outline_scale is None else outline_scale
    wholes = _fits(images, engine, iso_level)
    heads = [None if whole is None else Head(whole) for whole in wholes]
    if card.network.second_look:
        heads = _zoomed(images, heads, engine, iso_level)
    if card.network.outline_look:
        heads = _along_contours(images, heads, engine, outline_scale)
    if card.gate is not None:
        heads = _recognised(images, heads, engine)
    return _in_images(images, heads)


def _fits(images: Sequence[Prepared], engine: Engine, iso_level: float) -> list[HeadFit | None]:
    """Return the fits that convince."""
    if not images:
        return []
    maps = engine.predict(images)
    fits = (fit_head(seen, image, iso_level) for seen, image in zip(maps, images, strict=True))
    return [fit if fit is not None and is_convincing(fit) else None for fit in fits]


def _zoomed(
    images: Sequence[Prepared], heads: Sequence[Head | None], engine: Engine, iso_level: float
) -> list[Head | None]:
    staged: list[Head | None] = [None] * len(images)
    found = _found(heads)
    views = [engine.zoom(images[index], head.ellipse) for index, head in found]
    for (index, head), zoomed in zip(found, _fits(views, engine, iso_level), strict=True):
        staged[index] = None if zoomed is None else replace(head, zoomed=zoomed)
    return staged


def _along_contours(
    images: Sequence[Prepared], heads: Sequence[Head | None], engine: Engine, scale: float
) -> list[Head | None]:
    staged = list(heads)
    found = _found(heads)
    if not found:
        return staged
    contours = engine.correct([(images[index], head.ellipse) for index, head in found])
    for (index, head), contour in zip(found, contours, strict=True):
        if contour is not None and contour.ellipse.is_proper:
            contour = replace(contour, ellipse=contour.ellipse.scaled(scale))
            staged[index] = replace(head, contour=contour)
    return staged


def _recognised(
    images: Sequence[Prepared], heads: Sequence[Head | None], engine: Engine
) -> list[Head | None]:
    judged = list(heads)
    found = _found(heads)
    if found:
        odds = engine.recognise([(images[index], head.ellipse) for index, head in found])
        for (index, head), seen in zip(found, odds, strict=True):
            judged[index] = replace(head, odds=seen)
    return judged


def _in_images(images: Sequence[Prepared], heads: Sequence[Head | None]) -> list[Head | None]:
    """Add what the image around each head tells of it."""
    judged = list(heads)
    for index, head in _found(heads):
        pixels = images[index].original
        judged[index] = replace(
            head,
            beyond_share=beyond_sector(pixels, head.ellipse),
            is_inverted=is_inverted(pixels, head.ellipse),
            is_squeezed=is_squeezed(pixels, head.ellipse),
        )
    return judged


def _found(heads: Sequence[Head | None]) -> list[tuple[int, Head]]:
    return [(index, head) for index, head in enumerate(heads) if head is not None]
