"""``hc-batch model train``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click

from cli.model.dataset import FOLDS, folder_argument, images_by_plane, labelled
from cli.model.training_libraries import training_libraries
from hcmodel.dataset.hc18 import TrainingDataError, folds_by_exam
from hcmodel.dataset.planes import folds_by_patient
from hcmodel.model_card import WeightsError
from hcmodel.training.recipes import RECIPES, Recipe
from worker.errors import TrainingDataUnusable


@click.command()
@folder_argument
@click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    default="hc18",
    show_default=True,
    metavar="NAME",
    help="hc18, notebook, or one that varies hc18: see docs/experiments.md.",
)
@click.option(
    "--out",
    "target",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for checkpoint, log, curve, weights and card.  [default: runs/RECIPE-PART]",
)
@click.option(
    "--fold",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Which part of the images, divided by exam, is held out for validation.",
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    default=FOLDS,
    show_default=True,
    help="How many parts there are: fewer train on fewer images, to see what more would bring.",
)
@click.option(
    "--all-images", is_flag=True, help="Hold nothing out, in as many steps as a fold takes."
)
@click.option("--epochs", type=click.IntRange(min=1), help="At most so many.")
@click.option(
    "--planes",
    "planes_folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Train the gate as well, on these images by plane, divided by patient.",
)
@click.option(
    "--gate-of",
    "weights",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="WEIGHTS",
    help="With --planes: train nothing but the gate, behind these weights.",
)
def command(
    folder: Path,
    recipe: str,
    target: Path | None,
    fold: int,
    folds: int,
    all_images: bool,
    epochs: int | None,
    planes_folder: Path | None,
    weights: Path | None,
) -> None:
    """Train a recipe on HC18-like images; the same command resumes an interrupted training.

    Example: hc-batch model train ~/hc18 --recipe hc18 --fold 0 --planes ~/fetal-planes
    """
    if fold >= folds:
        raise click.BadParameter(f"{folds} parts are 0 to {folds - 1}", param_hint="--fold")
    if weights is not None and planes_folder is None:
        raise click.BadParameter("give --planes as well", param_hint="--gate-of")
    images = labelled(folder)
    planes = [] if planes_folder is None else images_by_plane(planes_folder)
    held_out = set() if all_images else set(folds_by_exam(images, folds)[fold])
    training = [image for index, image in enumerate(images) if index not in held_out]
    validation = [image for index, image in enumerate(images) if index in held_out]
    if planes and not all_images:
        unseen = set(folds_by_patient(planes, folds)[fold])
        planes = [image for index, image in enumerate(planes) if index not in unseen]
    fold_name = f"fold{fold}" if folds == FOLDS else f"fold{fold}of{folds}"
    part = "all" if all_images else fold_name
    target = target or Path("runs") / (f"gate-{part}" if weights else f"{recipe}-{part}")
    click.echo(
        f"{len(training)} images to train, {len(validation)} held out, in {target}", err=True
    )
    chosen = RECIPES[recipe]
    if epochs is not None:
        chosen = _shortened(chosen, lambda planned: min(planned, epochs))
    elif all_images:
        chosen = _shortened(chosen, lambda planned: round(planned * (1 - 1 / folds)))
    # Keras takes 4 to 5 s to import: only training pays for it.
    with training_libraries():
        from hcmodel.training.add_gate import add_gate
        from hcmodel.training.train import train as train_network

    try:
        trained = weights or train_network(training, validation, chosen, target)
        if planes:
            trained = add_gate(trained, training, planes, target)
    except (TrainingDataError, WeightsError) as error:
        raise TrainingDataUnusable(str(error)) from error
    click.echo(f"weights: {trained}", err=True)
    click.echo(f"next: hc-batch model evaluate {folder} --weights {trained}", err=True)


def _shortened(recipe: Recipe, to: Callable[[int], int]) -> Recipe:
    return replace(recipe, epochs=to(recipe.epochs), outline_epochs=to(recipe.outline_epochs))
