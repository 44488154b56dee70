"""Compare ways to fit ellipses on the same maps, and how well each feature ranks the errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from hcmodel.arrays import FloatArray, FloatImage, Mask, shape_of
from hcmodel.cascade import find_heads
from hcmodel.dataset.hc18 import LabelledImage, read_grey, read_truth
from hcmodel.engine import Engine
from hcmodel.evaluation.metrics import Case, errors_of, figures, risk_coverage
from hcmodel.geometry import Ellipse
from hcmodel.head import Head
from hcmodel.html_page import Table
from hcmodel.preprocess import Prepared
from hcmodel.quality import confidence, fit_score

AS_SHIPPED = "as these weights measure"
LEVEL_LINE = "least squares on the level line"
WHOLE = "the same in the whole image alone"
MOMENTS = "moments weighted by probability"
DIRECT = "ellipse optimised against the map"
WAYS = (AS_SHIPPED, LEVEL_LINE, WHOLE, MOMENTS, DIRECT)

EDGE_PX = 4.0
"""Over this distance the optimised ellipse's edge falls from 1 to 0, as the maps' edges do."""
_BAND = 0.35
"""Of the minor semi-axis, to both sides: farther away, other things may be segmented."""
_STEPS = 12
"""Far more than Gauss-Newton needs from a start a few pixels away."""
_DAMPING = 1e-3
_NUDGE_PX = 0.1
"""By which slopes are taken: large against rounding in float32, small against ``EDGE_PX``."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """One image, its truth, and the ellipses that each way found, in px of the image.

    ``scores``: quality features of the fit, more meaning more trust.
    """

    image: LabelledImage
    shape: tuple[int, int]
    truth: Ellipse
    ellipses: dict[str, Ellipse | None]
    scores: dict[str, float]

    def case(self, way: str) -> Case:
        """Return what one way makes of the image."""
        ellipse, spacing = self.ellipses[way], self.image.spacing
        return Case(
            name=self.image.name,
            exam=self.image.exam,
            shape=self.shape,
            spacing=spacing,
            truth=self.truth,
            truth_hc_mm=self.image.hc_mm or self.truth.circumference_mm(spacing),
            ellipse=ellipse,
            hc_mm=None if ellipse is None else ellipse.circumference_mm(spacing),
            hc_low_mm=None,
            hc_high_mm=None,
            confidence=None,
            flags=(),
            code=None,
        )


class FitComparison:
    """What several networks give on their unseen images, in every way."""

    def __init__(self) -> None:
        self._cases: dict[str, list[Case]] = {way: [] for way in WAYS}
        self._scores: list[dict[str, float]] = []

    def add(self, unseen: Iterable[LabelledImage], engine: Engine) -> Iterator[str]:
        """Fit each image in every way; yield the names of images that are done."""
        for fitted in fit_all_ways(unseen, engine):
            for way in WAYS:
                self._cases[way].append(fitted.case(way))
            self._scores.append(fitted.scores)
            yield fitted.image.name

    def tables(self) -> list[Table]:
        """Return the figures of each way, and how well each feature ranks the errors."""
        rows = []
        for way, cases in self._cases.items():
            line = figures(cases)[0]
            means = (line.adf_mm, line.df_mm, line.dsc_percent, line.hd_mm)
            shown = ("" if mean is None else f"{mean:.2f}" for mean in means)
            rows.append((way, f"{line.images}", f"{line.refused}", *shown))
        headings = ("way to the ellipse", "images", "failed", "ADF mm", "DF mm", "DSC %", "HD mm")
        return [("The same maps, fitted otherwise", headings, rows), self._ranking()]

    def _ranking(self) -> Table:
        first = self._cases[AS_SHIPPED]
        answered = [index for index, case in enumerate(first) if case.hc_mm is not None]
        errors_mm = errors_of([first[index] for index in answered])
        scores = [self._scores[index] for index in answered]
        areas_mm = {
            name: risk_coverage(errors_mm, np.array([each[name] for each in scores])).mean()
            for name in (scores[0] if scores else ())
        }
        areas_mm["the error itself"] = risk_coverage(errors_mm, -errors_mm).mean()
        rows = [(name, f"{area_mm:.2f}") for name, area_mm in areas_mm.items()]
        return "Area under the risk-coverage curve", ("ranked by", "mm"), rows


def fit_all_ways(images: Iterable[LabelledImage], engine: Engine) -> Iterator[Fitted]:
    """Yield each image's ellipses; ``None`` where the level line gives none."""
    for image in images:
        prepared = engine.prepare(read_grey(image.image_path), image.spacing)
        (head,) = find_heads([prepared], engine)
        ways: dict[str, Ellipse | None] = dict.fromkeys(WAYS)
        if head is not None:
            if head.zoomed is not None:
                prepared = engine.zoom(prepared, head.whole.ellipse)
            probability = engine.predict([prepared])[0]
            start = head.last.ellipse.transformed(prepared.to_network)
            ways = {
                AS_SHIPPED: head.ellipse,
                LEVEL_LINE: head.last.ellipse,
                WHOLE: head.whole.ellipse,
                MOMENTS: by_moments(probability).transformed(prepared.to_original),
                DIRECT: optimised(start, probability, prepared).transformed(prepared.to_original),
            }
        scores = {} if head is None else _scores(head, image, engine)
        yield Fitted(image, prepared.original_shape, read_truth(image), ways, scores)


def by_moments(probability: FloatImage) -> Ellipse:
    """Return the ellipse with the centre and the second moments of a ``(H, W)`` map.

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
    """Return the ellipse whose soft-edged disc differs least from a ``(H, W)`` map, in square.

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
        nudges = _NUDGE_PX * np.eye(6)
        slopes = np.stack([difference(best + nudge) - found for nudge in nudges], axis=1)
        slopes /= _NUDGE_PX
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
    """Return where the network's raster shows the image and not the black around it."""
    rows, columns = prepared.original_shape
    low = prepared.to_network @ [0, 0, 1]
    high = prepared.to_network @ [columns - 1, rows - 1, 1]
    y_px, x_px = np.mgrid[0 : shape[0], 0 : shape[1]]
    inside = (x_px >= low[0]) & (x_px <= high[0]) & (y_px >= low[1]) & (y_px <= high[1])
    return np.asarray(inside)


def _scores(head: Head, image: LabelledImage, engine: Engine) -> dict[str, float]:
    """Return each quality feature by itself, more meaning more trust."""
    fit = head.last
    return {
        "residual": -fit.residual,
        "soft Dice": fit.soft_dice,
        "sharpness": fit.sharpness,
        "largest component share": fit.largest_component_share,
        "border share": -fit.border_share,
        "fit score": fit_score(fit),
        "stages' disagreement": -head.disagreement,
        "contour's correction": -head.correction,
        "confidence": confidence(head, image.spacing, engine.error_model),
    }
