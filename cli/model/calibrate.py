"""``hc-batch model calibrate``: how far to trust the network, learned from its errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.console import progress, stdout
from cli.model.dataset import folder_argument, labelled, unseen_images
from hcmodel.model_card import Card, verify
from worker.errors import TrainingDataUnusable
from worker.measuring.weights import trusted_weights

if TYPE_CHECKING:
    from hcmodel.evaluation.calibration import Calibration


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
    help="Weights that get the error model of all folds, as a network of the same recipe.",
)
def command(folder: Path, folds: tuple[Path, ...], into: Path | None) -> None:
    """Store in the cards what unseen exams teach: how HC has no bias, and how far it may be off.

    Bias is taken away by the scale of outlines or, where the network does not look along them, by
    the probability along whose line heads are fitted. Each fold's card gets what the other folds
    teach, so that evaluating it stays honest.

    Example: hc-batch model calibrate ~/hc18 --weights a.keras --weights b.keras
    """
    if len(folds) < 3:
        raise click.BadParameter("give the weights of at least three folds", param_hint="--weights")
    images = labelled(folder)
    # Keras takes 4 to 5 s to import: only those who measure pay for it.
    from hcmodel.engine import Engine
    from hcmodel.evaluation.calibration import Judged, calibrate, judged

    with trusted_weights():
        engines = [Engine(weights) for weights in folds]
    cards = [engine.card for engine in engines]
    unseen = [unseen_images(images, card) for card in cards]
    for weights, part in zip(folds, unseen, strict=True):
        if not part:
            raise TrainingDataUnusable(f"all images are of exams that trained {weights}")

    def judge(fold: int, iso_level: float) -> list[Judged]:
        heads = judged(unseen[fold], engines[fold], iso_level)
        name = f"{folds[fold].parent.name} at {iso_level:.3f}"
        return list(progress(heads, len(unseen[fold]), name))

    by_scale = all(card.network.outline_look for card in cards)
    single, overall = calibrate(len(folds), judge, by_scale=by_scale)
    for weights, calibration in zip(folds, single, strict=True):
        _store(weights, calibration)
    if into is not None:
        _store(into, overall)


def _store(weights: Path, calibration: Calibration) -> None:
    model = calibration.error_model
    card: Card = replace(
        verify(weights),
        level=calibration.iso_level,
        outline_scale=calibration.outline_scale,
        doubt=model,
    )
    card.write(weights)
    stdout.print(f"{weights}: {card.model}, 90 % within {model.interval_ratio:.2f} expected errors")
