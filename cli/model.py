"""``hc-batch model``: the network's card, and how it is trained and judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
from rich.table import Table

from cli.console import out, progress
from hcmodel.card import Card
from hcmodel.training.evaluate import Case, figures, worst
from hcmodel.training.hc18 import LabelledImage, TrainingDataError, folds_by_exam, read_folder
from hcmodel.training.recipes import RECIPES
from worker.errors import TrainingDataUnusable
from worker.evaluation import evaluate as evaluate_images
from worker.pipeline import open_instrument, verify_weights
from worker.roots import Roots
from worker.settings import Settings

FOLDS = 5

weights_option = click.option(
    "--weights",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Weights to use instead of the shipped ones.  [env: HC_WEIGHTS]",
)
folder_argument = click.argument(
    "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR"
)


@click.group()
def command() -> None:
    """Show, verify, train and evaluate the network.

    Example: hc-batch model evaluate ~/hc18
    """


@command.command()
@weights_option
def show(weights: Path | None) -> None:
    """Print the weights' card: network, recipe, data and figures.

    Example: hc-batch model show
    """
    card = _verified(weights)
    table = Table(show_header=False, box=None)
    table.add_row("model", card.model)
    table.add_row("sha256", card.sha256)
    table.add_row("recipe", card.recipe)
    network = card.network
    table.add_row("input", f"{network.input_height} x {network.input_width} px")
    table.add_row("width, depth", f"{network.width}, {network.depth}")
    for name, value in {**card.training, **card.figures}.items():
        shown = f"{len(value)}" if isinstance(value, list) else f"{value}"
        table.add_row(name.replace("_", " "), shown)
    table.add_row("use", "research only, not a medical device")
    out.print(table)


@command.command()
@weights_option
def verify(weights: Path | None) -> None:
    """Check that the weights are the ones their card describes.

    Example: hc-batch model verify
    """
    out.print(f"ok: {_verified(weights).model}")


def _verified(weights: Path | None) -> Card:
    return verify_weights(_settings(weights))


def _settings(weights: Path | None) -> Settings:
    settings = Settings.from_environment()
    return replace(settings, weights=weights) if weights else settings


def _labelled(folder: Path) -> list[LabelledImage]:
    try:
        return read_folder(folder)
    except TrainingDataError as error:
        raise TrainingDataUnusable(str(error)) from error


@command.command()
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
    help="Folder for checkpoint, log, curve, weights and card.  [default: runs/RECIPE-foldK]",
)
@click.option(
    "--fold",
    type=click.IntRange(0, FOLDS - 1),
    default=0,
    show_default=True,
    help=f"Which of {FOLDS} parts, divided by exam, is held out for validation.",
)
@click.option("--all-images", is_flag=True, help="Hold nothing out; figures must come from folds.")
@click.option("--epochs", type=click.IntRange(min=1), help="Instead of the recipe's number.")
def train(
    folder: Path, recipe: str, target: Path | None, fold: int, all_images: bool, epochs: int | None
) -> None:
    """Train a recipe on HC18-like images; the same command resumes an interrupted training.

    Example: hc-batch model train ~/hc18 --recipe hc18 --fold 0
    """
    images = _labelled(folder)
    held_out = set() if all_images else set(folds_by_exam(images, FOLDS)[fold])
    training = [image for index, image in enumerate(images) if index not in held_out]
    validation = [image for index, image in enumerate(images) if index in held_out]
    part = "all" if all_images else f"fold{fold}"
    target = target or Path("runs") / f"{recipe}-{part}"
    click.echo(
        f"{len(training)} images to train, {len(validation)} held out, in {target}", err=True
    )
    # Keras takes 4 to 5 s to import: only training pays for it.
    from hcmodel.training.train import train as train_network

    chosen = replace(RECIPES[recipe], epochs=epochs) if epochs else RECIPES[recipe]
    try:
        weights = train_network(training, validation, chosen, target)
    except TrainingDataError as error:
        raise TrainingDataUnusable(str(error)) from error
    click.echo(f"weights: {weights}", err=True)
    click.echo(f"next: hc-batch model evaluate {folder} --weights {weights}", err=True)


@command.command()
@folder_argument
@weights_option
@click.option("--all-images", is_flag=True, help="Also images of exams that trained the weights.")
@click.option("--write-card", is_flag=True, help="Store the figures in the weights' card.")
def evaluate(folder: Path, weights: Path | None, all_images: bool, write_card: bool) -> None:
    """Judge weights on labelled images, through the same path as measuring.

    Images of exams that trained the weights are left out unless asked for. ADF and DF are the
    mean absolute and mean signed HC difference, DSC is Dice, HD the Hausdorff distance.

    Example: hc-batch model evaluate ~/hc18
    """
    card = _verified(weights)
    images = _labelled(folder)
    known = set() if all_images else set(card.training.get("exams", ()))  # type: ignore[call-overload]
    unseen = [image for image in images if image.exam not in known]
    if not unseen:
        raise TrainingDataUnusable(
            f"all {len(images)} images are of exams that trained these weights; --all-images "
            "judges them all the same"
        )
    click.echo(f"{len(unseen)} of {len(images)} images are of unseen exams", err=True)
    # The folder is named by the person who judges; the roots are for files from others.
    settings = replace(_settings(weights), data_roots=Roots())
    with open_instrument(settings) as instrument:
        cases = list(progress(evaluate_images(unseen, instrument), len(unseen), "evaluating"))
    _print_report(cases)
    if write_card:
        overall, *groups = figures(cases)
        noted: dict[str, object] = {"unseen images": overall.images, "refused": overall.refused}
        noted |= {f"ADF mm, {group.group}": _rounded(group.adf_mm) for group in (overall, *groups)}
        noted |= {"DF mm": _rounded(overall.df_mm), "DSC %": _rounded(overall.dsc_percent)}
        noted |= {"HD mm": _rounded(overall.hd_mm), "flagged": overall.flagged}
        replace(card, figures=noted).write(settings.weights)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _print_report(cases: list[Case]) -> None:
    table = Table(title="Differences of HC, measured minus truth")
    table.add_column("group")
    for heading in ("images", "refused", "flagged", "ADF mm", "DF mm", "rel. %", "DSC %", "HD mm"):
        table.add_column(heading, justify="right")
    for line in figures(cases):
        table.add_row(
            line.group,
            f"{line.images}",
            f"{line.refused}",
            f"{line.flagged}",
            _with_sd(line.adf_mm, line.adf_sd_mm),
            _with_sd(line.df_mm, line.df_sd_mm),
            _plain(line.relative_percent),
            _plain(line.dsc_percent),
            _plain(line.hd_mm),
        )
    out.print(table)
    listing = Table(title="Largest differences")
    for heading in ("image", "truth mm", "HC mm", "difference mm", "confidence", "flags"):
        listing.add_column(heading)
    for case in worst(cases):
        listing.add_row(
            case.name,
            _plain(case.truth_hc_mm),
            _plain(case.hc_mm),
            _plain(case.difference_mm),
            _plain(case.confidence),
            " ".join(case.flags),
        )
    out.print(listing)
    for case in cases:
        if case.hc_mm is None:
            out.print(f"refused: {case.name} {case.code}")


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _with_sd(mean: float | None, deviation: float | None) -> str:
    return _plain(mean) + (f" ± {deviation:.2f}" if deviation is not None else "")
