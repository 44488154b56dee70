"""Calibrates a network by its errors on exams that it has not seen: bias and error model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hcmodel.arrays import FloatArray
from hcmodel.cascade import find_heads
from hcmodel.dataset.hc18 import LabelledImage, read_grey
from hcmodel.ellipse_fit import ISO_LEVEL
from hcmodel.engine import Engine
from hcmodel.head import Head
from hcmodel.quality import quality_features
from hcmodel.uncertainty import ErrorModel, Feature, Features, tolerance_mm

COVERAGE = 0.9
"""Of the truths, that the interval of HC is to hold."""
FLAGGED_SHARE = 0.03
"""Of the heads that calibrate, this share lies below ``ErrorModel.min_confidence``."""
ISO_LEVELS = (0.45, 0.5)
"""Where heads are judged, to find the level without bias by a straight line."""
ISO_LEVEL_BOUNDS = (0.4, 0.6)
"""A network that needs more is better trained again."""
QUANTILES = 21
"""Steps of 5 % in the table of ratios that turns an expected error into a confidence."""
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
    def features(self) -> Features:
        """What the error model reads."""
        return quality_features(self.head, self.image.spacing)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a card gets: how HC has no bias, and how far it may be off."""

    iso_level: float
    outline_scale: float
    error_model: ErrorModel


Judge = Callable[[int, float], list[Judged]]
"""From a fold's number and an iso-level to the heads that its network finds in unseen images."""


def calibrate(folds: int, judge: Judge, *, by_scale: bool) -> tuple[list[Calibration], Calibration]:
    """Return what the others teach each of the ``folds``, and what all teach together.

    Bias is taken away ``by_scale`` of the contours, or else by the iso-level. Each fold's own
    errors stay out of what it is given, so that evaluating it stays honest. Raises ``ValueError``
    with fewer than three folds that have heads.
    """
    unbias = _by_scale if by_scale else _by_iso_level
    choices, (iso_level, scale), heads = unbias(folds, judge)
    single = [
        Calibration(*choice, fit_error_model(_without(fold, heads)))
        for fold, choice in enumerate(choices)
    ]
    return single, Calibration(iso_level, scale, fit_error_model(heads))


_Choice = tuple[float, float]
"""An iso-level and a scale."""
_Unbiased = tuple[list[_Choice], _Choice, list[list[Judged]]]
"""The choice for each fold, that for all, and the folds' heads as they are measured with them."""


def _by_scale(folds: int, judge: Judge) -> _Unbiased:
    raw = [judge(fold, ISO_LEVEL) for fold in range(folds)]
    scales = [unbiased_scale(_without(fold, raw)) for fold in range(folds)]
    heads = [scaled(part, scale) for part, scale in zip(raw, scales, strict=True)]
    return [(ISO_LEVEL, scale) for scale in scales], (ISO_LEVEL, unbiased_scale(raw)), heads


def _by_iso_level(folds: int, judge: Judge) -> _Unbiased:
    lower, upper = ([judge(fold, level) for fold in range(folds)] for level in ISO_LEVELS)
    levels = [
        unbiased_iso_level(_without(fold, lower), _without(fold, upper)) for fold in range(folds)
    ]
    heads = [judge(fold, level) for fold, level in enumerate(levels)]
    return [(level, 1.0) for level in levels], (unbiased_iso_level(lower, upper), 1.0), heads


def _without(left_out: int, folds: Sequence[list[Judged]]) -> list[list[Judged]]:
    return [fold for index, fold in enumerate(folds) if index != left_out]


def judged(images: Iterable[LabelledImage], engine: Engine, iso_level: float) -> Iterator[Judged]:
    """Yield the heads that the network finds in the images, at an iso-level, not scaled.

    Images without one are left out.
    """
    for image in images:
        (head,) = find_heads(
            [engine.prepare(read_grey(image.image_path), image.spacing)],
            engine,
            iso_level,
            outline_scale=1.0,
        )
        if head is not None and image.hc_mm is not None:
            yield Judged(image, head, head.ellipse.circumference_mm(image.spacing))


def unbiased_iso_level(
    lower: Sequence[Sequence[Judged]], upper: Sequence[Sequence[Judged]]
) -> float:
    """Return the iso-level without bias, from folds that were judged at both of ``ISO_LEVELS``.

    Between them HC falls nearly in proportion to the level.
    """
    biases_mm = [
        np.mean([head.error_mm for fold in folds for head in fold]) for folds in (lower, upper)
    ]
    share = biases_mm[0] / (biases_mm[0] - biases_mm[1])
    level = ISO_LEVELS[0] + share * (ISO_LEVELS[1] - ISO_LEVELS[0])
    return round(float(np.clip(level, *ISO_LEVEL_BOUNDS)), 4)


def unbiased_scale(folds: Sequence[Sequence[Judged]]) -> float:
    """Return what circumferences are to be multiplied by, so that they are right on average."""
    heads = [head for fold in folds for head in fold]
    measured_mm = sum(head.hc_mm for head in heads)
    return round((measured_mm - sum(head.error_mm for head in heads)) / measured_mm, 5)


def scaled(heads: Iterable[Judged], scale: float) -> list[Judged]:
    """Return the same heads, so many times as large."""
    return [replace(head, hc_mm=scale * head.hc_mm) for head in heads]


def fit_error_model(folds: Sequence[Sequence[Judged]]) -> ErrorModel:
    """Return the error model of all heads.

    What a fold's errors come to is seen by a model without that fold. Raises ``ValueError`` with
    fewer than two folds that have heads.
    """
    judged_folds = [fold for fold in folds if fold]
    if len(judged_folds) < 2:
        raise ValueError("an error model needs the heads of at least two folds")
    names = _known_features(head for fold in judged_folds for head in fold)
    parts = [_table(fold, names) for fold in judged_folds]
    ratios = []
    for left_out, (fold, (_, errors_mm)) in enumerate(zip(judged_folds, parts, strict=True)):
        others = [part for index, part in enumerate(parts) if index != left_out]
        model = _fitted(others, names)
        ratios.append(errors_mm / [model.expected_error_mm(head.features) for head in fold])
    seen = np.sort(np.concatenate(ratios))
    share = min(1.0, COVERAGE * (len(seen) + 1) / len(seen))
    model = replace(
        _fitted(parts, names),
        ratios=tuple(np.quantile(seen, np.linspace(0, 1, QUANTILES)).tolist()),
        interval_ratio=float(np.quantile(seen, share)),
    )
    heads = [head for fold in judged_folds for head in fold]
    confidences = [model.within(head.features, tolerance_mm(head.hc_mm)) for head in heads]
    return replace(model, min_confidence=float(np.quantile(confidences, FLAGGED_SHARE)))


def _known_features(heads: Iterable[Judged]) -> tuple[str, ...]:
    """Return those that any head has, in the order of a card."""
    known = {name for head in heads for name, value in head.features.items() if value is not None}
    return tuple(name for name in Feature if name in known)


def _table(fold: Sequence[Judged], names: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Return features ``(N, K)``, NaN where unknown, and absolute errors ``(N,)`` in mm."""
    features = np.array([[head.features.get(name) for name in names] for head in fold], float)
    return features, np.abs([head.error_mm for head in fold])


def _fitted(parts: Sequence[tuple[FloatArray, FloatArray]], names: tuple[str, ...]) -> ErrorModel:
    """Return the maximum likelihood of a Laplace distribution whose scale follows the features.

    With scale exp(u) an error e costs u + |e| exp(-u), which is convex in u: Newton's steps.
    """
    features = np.concatenate([part[0] for part in parts])
    errors_mm = np.concatenate([part[1] for part in parts])
    known = np.isfinite(features)
    # A feature that no head of these folds has weighs nothing, wherever its mean is said to be.
    counts = np.maximum(1, known.sum(axis=0))
    means = np.where(known, features, 0).sum(axis=0) / counts
    away = np.where(known, features - means, 0)
    deviations = np.sqrt((away**2).sum(axis=0) / counts) + 1e-9
    design = np.column_stack([np.ones(len(features)), away / deviations])
    theta = _most_likely(design, errors_mm)
    return ErrorModel(
        features=names,
        means=tuple(means.tolist()),
        deviations=tuple(deviations.tolist()),
        weights=tuple(theta[1:].tolist()),
        bias=float(theta[0]),
        ratios=(0.0, 1.0),
        interval_ratio=1.0,
        min_confidence=0.0,
    )


def _most_likely(design: FloatArray, errors_mm: FloatArray) -> FloatArray:
    """Return ``(K + 1,)`` coefficients for a ``(N, K + 1)`` design, its first column constant."""
    ridge = np.diag([0.0] + [RIDGE] * (design.shape[1] - 1))
    theta = np.zeros(design.shape[1])
    theta[0] = np.log(errors_mm.mean() + 1e-9)
    for _ in range(50):
        pull = errors_mm * np.exp(-design @ theta)
        slope = design.T @ (1 - pull) + ridge @ theta
        curvature = (design.T * pull) @ design + ridge + 1e-6 * np.eye(len(theta))
        step = np.linalg.solve(curvature, slope)
        theta -= step * min(1.0, 1.0 / float(np.abs(step).max() + 1e-12))
    return theta
