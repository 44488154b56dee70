"""Fits the doubt of a network to its errors on exams that it has not seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hcmodel.arrays import FloatArray
from hcmodel.cascade import find_heads
from hcmodel.dataset.hc18 import LabelledImage, read_grey
from hcmodel.engine import Engine
from hcmodel.head import Head
from hcmodel.quality import signals_of
from hcmodel.uncertainty import Doubt

COVERAGE = 0.9
FLAGGED_SHARE = 0.03
"""Of the heads that calibrate, this share lies below ``Doubt.min_confidence``."""
LEVELS = (0.45, 0.5)
LEVEL_BOUNDS = (0.4, 0.6)
"""A network that needs more is better trained again."""
QUANTILES = 21
RIDGE = 2.0
"""Weight of the squared coefficients against the sum over heads; they stay small without need."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A head that was found in a labelled image, and the HC that it would be given."""

    image: LabelledImage
    head: Head
    hc_mm: float

    @property
    def error_mm(self) -> float:
        """Measured minus true HC."""
        assert self.image.hc_mm is not None
        return self.hc_mm - self.image.hc_mm

    @property
    def signals(self) -> tuple[float | None, ...]:
        """What the doubt is read from."""
        return signals_of(self.head, self.image.spacing)


def judged(images: Iterable[LabelledImage], engine: Engine, level: float) -> Iterator[Judged]:
    """The heads that the network finds in the images, fitted along a level line, not scaled.

    Images without one are left out.
    """
    for image in images:
        (head,) = find_heads(
            [engine.prepare(read_grey(image.image_path), image.spacing)],
            engine,
            level,
            outline_scale=1.0,
        )
        if head is not None and image.hc_mm is not None:
            yield Judged(image, head, head.ellipse.circumference_mm(image.spacing))


def unbiased_level(lower: Sequence[Sequence[Judged]], upper: Sequence[Sequence[Judged]]) -> float:
    """The level without bias, from folds that were judged at both of ``LEVELS``.

    Between them HC falls nearly in proportion to the level.
    """
    biases_mm = [
        np.mean([head.error_mm for fold in folds for head in fold]) for folds in (lower, upper)
    ]
    share = biases_mm[0] / (biases_mm[0] - biases_mm[1])
    level = LEVELS[0] + share * (LEVELS[1] - LEVELS[0])
    return round(float(np.clip(level, *LEVEL_BOUNDS)), 4)


def unbiased_scale(folds: Sequence[Sequence[Judged]]) -> float:
    """What circumferences are to be multiplied by, so that they are right on average."""
    heads = [head for fold in folds for head in fold]
    measured_mm = sum(head.hc_mm for head in heads)
    return round((measured_mm - sum(head.error_mm for head in heads)) / measured_mm, 5)


def scaled(heads: Iterable[Judged], scale: float) -> list[Judged]:
    """The same heads, so many times as large."""
    return [replace(head, hc_mm=scale * head.hc_mm) for head in heads]


def fit_doubt(folds: Sequence[Sequence[Judged]]) -> Doubt:
    """The doubt of all heads; what a fold's errors come to is seen by a model without that fold.

    Raises ``ValueError`` with fewer than two folds that have heads.
    """
    parts = [_table(fold) for fold in folds if fold]
    if len(parts) < 2:
        raise ValueError("a doubt needs the heads of at least two folds")
    ratios = []
    for left_out, (signals, errors_mm) in enumerate(parts):
        others = [part for index, part in enumerate(parts) if index != left_out]
        ratios.append(errors_mm / _expected(_fitted(others), signals))
    seen = np.sort(np.concatenate(ratios))
    level = min(1.0, COVERAGE * (len(seen) + 1) / len(seen))
    doubt = replace(
        _fitted(parts),
        ratios=tuple(np.quantile(seen, np.linspace(0, 1, QUANTILES)).tolist()),
        interval_ratio=float(np.quantile(seen, level)),
    )
    confidences = [doubt.confidence(row) for signals, _ in parts for row in signals.tolist()]
    return replace(doubt, min_confidence=float(np.quantile(confidences, FLAGGED_SHARE)))


def _table(fold: Sequence[Judged]) -> tuple[FloatArray, FloatArray]:
    """Signals ``(N, K)`` and absolute errors ``(N,)`` in mm."""
    signals = np.array([head.signals for head in fold], float)
    return signals, np.abs([head.error_mm for head in fold])


def _fitted(parts: Sequence[tuple[FloatArray, FloatArray]]) -> Doubt:
    """Maximum likelihood of a Laplace distribution whose scale follows the signals.

    With scale exp(u) an error e costs u + |e| exp(-u), which is convex in u: Newton's steps.
    """
    signals = np.concatenate([part[0] for part in parts])
    errors_mm = np.concatenate([part[1] for part in parts])
    means, deviations = signals.mean(axis=0), signals.std(axis=0) + 1e-9
    design = np.column_stack([np.ones(len(signals)), (signals - means) / deviations])
    ridge = np.diag([0.0] + [RIDGE] * signals.shape[1])
    theta = np.zeros(design.shape[1])
    theta[0] = np.log(errors_mm.mean() + 1e-9)
    for _ in range(50):
        pull = errors_mm * np.exp(-design @ theta)
        slope = design.T @ (1 - pull) + ridge @ theta
        curvature = (design.T * pull) @ design + ridge + 1e-6 * np.eye(len(theta))
        step = np.linalg.solve(curvature, slope)
        theta -= step * min(1.0, 1.0 / float(np.abs(step).max() + 1e-12))
    return Doubt(
        means=tuple(means.tolist()),
        deviations=tuple(deviations.tolist()),
        weights=tuple(theta[1:].tolist()),
        bias=float(theta[0]),
        ratios=(0.0, 1.0),
        interval_ratio=1.0,
        min_confidence=0.0,
    )


def _expected(doubt: Doubt, signals: FloatArray) -> FloatArray:
    return np.array([doubt.expected_error_mm(row) for row in signals.tolist()])
