"""``hc-batch model calibrate``: how far to trust the network, learned from its errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import click

from cli.console import progress, stdout
from cli.model.dataset import folder_argument, labelled, unseen_images
from hcmodel.model_card import Card, verify
from hcmodel.uncertainty import Doubt
from worker.errors import TrainingDataUnusable

Fold = TypeVar("Fold")


@click.command()
@folder_argument
@click.option(
    "--weights",
    "folds",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Weights of one fold; give all folds.",
)
@click.option(
    "--into",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Weights that get the doubt of all folds, as a network of the same recipe.",
)
def command(folder: Path, folds: tuple[Path, ...], into: Path | None) -> None:
    """Store in the cards what unseen exams teach: how HC has no bias, and the doubt.

    Bias is taken away by the scale of outlines or, where the network does not look along them, by
    the probability along whose line heads are fitted. The doubt is how far HC may be off.
    Each fold's card gets what the other folds teach, so that evaluating it stays honest.

    Example: hc-batch model calibrate ~/hc18 --weights a.keras --weights b.keras
    """
    if len(folds) < 3:
        raise click.BadParameter("give the weights of at least three folds", param_hint="--weights")
    images = labelled(folder)
    # Keras takes 4 to 5 s to import: only those who measure pay for it.
    from hcmodel.ellipse_fit import LEVEL
    from hcmodel.engine import Engine
    from hcmodel.evaluation.calibration import (
        LEVELS,
        Judged,
        fit_doubt,
        judged,
        scaled,
        unbiased_level,
        unbiased_scale,
    )

    engines = [Engine(weights) for weights in folds]
    cards = [engine.card for engine in engines]
    unseen = [unseen_images(images, card) for card in cards]
    for weights, part in zip(folds, unseen, strict=True):
        if not part:
            raise TrainingDataUnusable(f"all images are of exams that trained {weights}")
    numbers = range(len(folds))

    def judge(fold: int, level: float) -> list[Judged]:
        found = judged(unseen[fold], engines[fold], level)
        name = f"{folds[fold].parent.name} at {level:.3f}"
        return list(progress(found, len(unseen[fold]), name))

    levels, scales = [LEVEL] * len(folds), [1.0] * len(folds)
    level, scale = LEVEL, 1.0
    if all(card.network.outline_look for card in cards):
        raw = [judge(fold, LEVEL) for fold in numbers]
        scales = [unbiased_scale(_without(fold, raw)) for fold in numbers]
        scale = unbiased_scale(raw)
        heads = [scaled(raw[fold], scales[fold]) for fold in numbers]
    else:
        lower, upper = ([judge(fold, each) for fold in numbers] for each in LEVELS)
        levels = [unbiased_level(_without(fold, lower), _without(fold, upper)) for fold in numbers]
        level = unbiased_level(lower, upper)
        heads = [judge(fold, levels[fold]) for fold in numbers]
    for fold in numbers:
        _store(folds[fold], levels[fold], scales[fold], fit_doubt(_without(fold, heads)))
    if into is not None:
        _store(into, level, scale, fit_doubt(heads))


def _without(left_out: int, folds: Sequence[Fold]) -> list[Fold]:
    return [fold for index, fold in enumerate(folds) if index != left_out]


def _store(weights: Path, level: float, scale: float, doubt: Doubt) -> None:
    card: Card = replace(verify(weights), level=level, outline_scale=scale, doubt=doubt)
    card.write(weights)
    stdout.print(f"{weights}: {card.model}, 90 % within {doubt.interval_ratio:.2f} expected errors")
