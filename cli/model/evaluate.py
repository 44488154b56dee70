"""``hc-batch model evaluate``: judges weights on exams they have not seen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.console import progress, stdout
from cli.model.dataset import folder_argument, labelled, print_table, unseen_images
from hcmodel.dataset.hc18 import LabelledImage
from hcmodel.evaluation.metrics import Case
from hcmodel.evaluation.report import report_page
from hcmodel.evaluation.tables import card_figures, tables_of
from hcmodel.html_page import Table
from hcmodel.model_card import Card
from worker.errors import TrainingDataUnusable
from worker.evaluation import Stress
from worker.evaluation import evaluate as evaluate_images
from worker.measuring.instrument import open_instrument, verify_weights
from worker.roots import Roots
from worker.settings import Settings

if TYPE_CHECKING:
    from hcmodel.evaluation.fit_methods import FitComparison


@click.command()
@folder_argument
@click.option(
    "--weights",
    "chosen",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Weights to use instead of the shipped ones; several, one per fold, are judged "
    "together, each on the exams that it has not seen.  [env: HC_WEIGHTS]",
)
@click.option("--all-images", is_flag=True, help="Also images of exams that trained the weights.")
@click.option(
    "--into",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Weights whose card gets the figures.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write a page with plots and the worst cases to this HTML file.",
)
@click.option("--fits", is_flag=True, help="Also compare ways to fit the ellipse to the maps.")
@click.option(
    "--stress",
    "stress_images",
    type=click.IntRange(min=1),
    metavar="N",
    help="Also show N of the images as other scanners would, and without their heads.",
)
@click.option(
    "--others",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="With --stress: files that show no fetal head.",
)
def command(
    folder: Path,
    chosen: tuple[Path, ...],
    all_images: bool,
    into: Path | None,
    report: Path | None,
    fits: bool,
    stress_images: int | None,
    others: Path | None,
) -> None:
    """Judge weights on labelled images, through the same path as measuring.

    Images of exams that trained the weights are left out unless asked for. ADF and DF are the
    mean absolute and mean signed HC difference, DSC is Dice, HD the Hausdorff distance.

    Example: hc-batch model evaluate ~/hc18 --weights runs/hc18-fold0/hc18.keras
    """
    images = labelled(folder)
    settings = Settings.from_environment()
    weights = chosen or (settings.weights,)
    if all_images and len(weights) > 1:
        raise click.BadParameter("takes one --weights", param_hint="--all-images")
    if all_images and into is not None:
        raise click.BadParameter("holds figures of unseen exams only", param_hint="--into")
    cards = [verify_weights(replace(settings, weights=each)) for each in weights]
    parts = [_part(images, card, all_images) for card in cards]
    _each_once(parts)
    stress, fitted = None, _comparison() if fits else None
    if stress_images is not None:
        stress = Stress(math.ceil(stress_images / len(weights)), others)
    folds = [
        _judge(part, replace(settings, weights=each), stress, fitted)
        for part, each in zip(parts, weights, strict=True)
    ]
    cases = [case for fold in folds for case in fold]
    seen = len(cases) - sum(len(unseen_images(images, card)) for card in cards)
    tables = tables_of(cases, folds, seen)
    for more in (stress, fitted):
        tables += more.tables() if more else []
    _print(tables, cases)
    if into is not None:
        card = verify_weights(replace(settings, weights=into))
        replace(card, figures=card_figures(cases)).write(into)
    if report is not None:
        _write(report, cases, tables, images)


def _write(
    report: Path, cases: list[Case], tables: list[Table], images: list[LabelledImage]
) -> None:
    paths = {image.name: image.image_path for image in images}
    report.write_text(report_page(cases, tables, paths), encoding="utf-8")
    stdout.print(f"report: {report}")


def _print(tables: list[Table], cases: list[Case]) -> None:
    for table in tables:
        print_table(table)
    for case in cases:
        if case.hc_mm is None:
            stdout.print(f"refused: {case.name} {case.code}")


def _comparison() -> FitComparison:
    # Keras takes 4 to 5 s to import: only those who measure pay for it.
    from hcmodel.evaluation.fit_methods import FitComparison

    return FitComparison()


def _part(images: list[LabelledImage], card: Card, all_images: bool) -> list[LabelledImage]:
    """Return the images on which the card's weights are judged."""
    unseen = unseen_images(images, card)
    if not unseen and not all_images:
        raise TrainingDataUnusable(
            f"all {len(images)} images are of exams that trained these weights; --all-images "
            "judges them all the same"
        )
    click.echo(f"{card.model}: {len(unseen)} of {len(images)} images are of unseen exams", err=True)
    return images if all_images else unseen


def _judge(
    images: list[LabelledImage],
    settings: Settings,
    stress: Stress | None,
    fits: FitComparison | None,
) -> list[Case]:
    # The folder is named by the person who judges; the roots are for files from others.
    with open_instrument(replace(settings, data_roots=Roots())) as instrument:
        cases = list(progress(evaluate_images(images, instrument), len(images), "evaluating"))
        if stress is not None:
            for done in progress(stress.add(images, instrument), None, "stress"):
                click.echo(f"tried: {done}", err=True)
    if fits is not None:
        from hcmodel.engine import Engine

        fitting = fits.add(images, Engine(settings.weights, thorough=settings.thorough))
        for _ in progress(fitting, len(images), "fitting"):
            pass
    return cases


def _each_once(parts: Sequence[Sequence[LabelledImage]]) -> None:
    names = Counter(image.name for part in parts for image in part)
    name, count = names.most_common(1)[0]
    if count > 1:
        raise TrainingDataUnusable(
            f"{name} is unseen by {count} of the weights; give those of folds that do not overlap"
        )
