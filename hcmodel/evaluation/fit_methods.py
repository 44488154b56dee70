"""Ways from a probability map to an ellipse on the same maps, and what single signals tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from hcmodel.arrays import FloatArray, FloatImage, Mask, shape_of
from hcmodel.cascade import find_heads
from hcmodel.dataset.hc18 import LabelledImage, read_grey, read_truth
from hcmodel.engine import Engine
from hcmodel.geometry import Ellipse
from hcmodel.head import Head
from hcmodel.preprocess import Prepared
from hcmodel.quality import confidence, support

AS_SHIPPED = "as these weights measure"
LEVEL_LINE = "least squares on the level line"
WHOLE = "the same in the whole image alone"
MOMENTS = "moments weighted by probability"
DIRECT = "ellipse optimised against the map"
WAYS = (AS_SHIPPED, LEVEL_LINE, WHOLE, MOMENTS, DIRECT)

EDGE_PX = 4.0
"""Over this distance the optimised ellipse's edge falls from 1 to 0, as the maps' edges do."""
_BAND = 0.35
_STEPS = 12
_DAMPING = 1e-3


@dataclass(frozen=True, slots=True)
class Fitted:
    """One image, its truth, and the ellipses that each way found, in px of the image."""

    image: LabelledImage
    shape: tuple[int, int]
    truth: Ellipse
    ellipses: dict[str, Ellipse | None]
    signals: dict[str, float]


def fit_all_ways(images: Iterable[LabelledImage], engine: Engine) -> Iterator[Fitted]:
    """Each image's ellipses; ``None`` where the level line gives none."""
    for image in images:
        prepared = engine.prepare(read_grey(image.image_path), image.spacing)
        (head,) = find_heads([prepared], engine)
        ways: dict[str, Ellipse | None] = dict.fromkeys(WAYS)
        if head is not None:
            if head.near is not None:
                prepared = engine.look_closer(prepared, head.whole.ellipse)
            probability = engine.predict([prepared])[0]
            start = head.last.ellipse.transformed(prepared.to_network)
            ways = {
                AS_SHIPPED: head.ellipse,
                LEVEL_LINE: head.last.ellipse,
                WHOLE: head.whole.ellipse,
                MOMENTS: by_moments(probability).transformed(prepared.to_original),
                DIRECT: optimised(start, probability, prepared).transformed(prepared.to_original),
            }
        signals = {} if head is None else _signals(head, image, engine)
        yield Fitted(image, prepared.original_shape, read_truth(image), ways, signals)


def by_moments(probability: FloatImage) -> Ellipse:
    """The ellipse with the centre and the second moments of a ``(H, W)`` map.

    A filled ellipse's variance along an axis is a quarter of its semi-axis squared.
    """
    y_px, x_px = np.mgrid[0 : probability.shape[0], 0 : probability.shape[1]]
    points = np.stack([x_px.ravel(), y_px.ravel()]).astype(np.float64)
    weights = probability.ravel().astype(np.float64)
    covariance = np.cov(points, aweights=weights, bias=True)
    values, axes = np.linalg.eigh(covariance)
    center = np.average(points, axis=1, weights=weights)
    return Ellipse.from_matrix(center, axes @ np.diag(2 * np.sqrt(values)))


def optimised(start: Ellipse, probability: FloatImage, prepared: Prepared) -> Ellipse:
    """The ellipse whose soft-edged disc differs least from a ``(H, W)`` map, in square, near it.

    Gauss-Newton's steps with a damping that grows where a step does not help (Levenberg).
    """
    shape = shape_of(probability)
    near = np.abs(start.signed_distance_px(shape)) < _BAND * start.semi_axis_b_px
    near &= _shown(prepared, shape)
    wanted = probability[near].astype(np.float64)

    def difference(values: FloatArray) -> FloatArray:
        disc = np.clip(0.5 - _ellipse(values).signed_distance_px(shape)[near] / EDGE_PX, 0, 1)
        return np.asarray(disc - wanted)

    best = np.array([*start.center_px, *start.matrix.ravel()])
    found, damping = difference(best), _DAMPING
    for _ in range(_STEPS):
        slopes = (
            np.stack([difference(best + step) - found for step in 0.1 * np.eye(6)], axis=1) / 0.1
        )
        normal = slopes.T @ slopes
        change = np.linalg.solve(normal + damping * np.trace(normal) * np.eye(6), slopes.T @ found)
        tried = difference(best - change)
        if tried @ tried < found @ found:
            best, found, damping = best - change, tried, damping / 3
        else:
            damping *= 10
    return _ellipse(best)


def _ellipse(values: FloatArray) -> Ellipse:
    return Ellipse.from_matrix(values[:2], values[2:].reshape(2, 2))


def _shown(prepared: Prepared, shape: tuple[int, int]) -> Mask:
    """Where the network's raster shows the image and not the black around it."""
    rows, columns = prepared.original_shape
    low = prepared.to_network @ [0, 0, 1]
    high = prepared.to_network @ [columns - 1, rows - 1, 1]
    y_px, x_px = np.mgrid[0 : shape[0], 0 : shape[1]]
    inside = (x_px >= low[0]) & (x_px <= high[0]) & (y_px >= low[1]) & (y_px <= high[1])
    return np.asarray(inside)


def _signals(head: Head, image: LabelledImage, engine: Engine) -> dict[str, float]:
    """Each by itself, more meaning more trust."""
    fit = head.last
    return {
        "residual": -fit.residual,
        "agreement": fit.agreement,
        "sharpness": fit.sharpness,
        "main share": fit.main_share,
        "border share": -fit.border_share,
        "support": support(fit),
        "looks' disagreement": -head.disagreement,
        "outline's correction": -head.correction,
        "confidence": confidence(head, image.spacing, engine.doubt),
    }
