"""``hc-batch model calibrate``: how far to trust the network, learned from its errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from cli.console import out, progress
from cli.training import folder_argument, labelled, unseen_images
from hcmodel.card import Card, verify
from hcmodel.doubt import Doubt
from worker.errors import TrainingDataUnusable


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
    """Store in the cards how far a measurement may be off, learned from unseen exams.

    Each fold's card gets what the other folds teach, so that evaluating it stays honest.

    Example: hc-batch model calibrate ~/hc18 --weights a.keras --weights b.keras
    """
    if len(folds) < 3:
        raise click.BadParameter("give the weights of at least three folds", param_hint="--weights")
    images = labelled(folder)
    # Keras takes 4 to 5 s to import: only those who measure pay for it.
    from hcmodel.engine import Engine
    from hcmodel.training.calibrate import fit_doubt, judged

    heads = []
    for weights in folds:
        unseen = unseen_images(images, verify(weights))
        if not unseen:
            raise TrainingDataUnusable(f"all images are of exams that trained {weights}")
        found = judged(unseen, Engine(weights))
        heads.append(list(progress(found, len(unseen), f"{weights.parent.name}")))
    for index, weights in enumerate(folds):
        others = [fold for other, fold in enumerate(heads) if other != index]
        _store(weights, fit_doubt(others))
    if into is not None:
        _store(into, fit_doubt(heads))


def _store(weights: Path, doubt: Doubt) -> None:
    card: Card = replace(verify(weights), doubt=doubt)
    card.write(weights)
    out.print(f"{weights}: {card.model}, 90 % within {doubt.interval_ratio:.2f} expected errors")
