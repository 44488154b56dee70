"""``hc-batch model evaluate``: judges weights on exams they have not seen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from cli.console import progress, stdout
from cli.model.dataset import (
    folder_argument,
    images_by_plane,
    labelled,
    naming_faults,
    print_table,
    unseen_images,
    unseen_planes,
)
from hcmodel.dataset.hc18 import LabelledImage
from hcmodel.dataset.planes import PlaneImage, check_divided
from hcmodel.evaluation.gate_sight import Sight, sights
from hcmodel.evaluation.metrics import Case
from hcmodel.evaluation.planes import PlaneCase, plane_figures, plane_tables
from hcmodel.evaluation.report import report_page
from hcmodel.evaluation.tables import card_figures, tables_of
from hcmodel.html_page import Table
from hcmodel.model_card import Card
from worker.errors import TrainingDataUnusable
from worker.evaluation import Stress, evaluate_planes
from worker.evaluation import evaluate as evaluate_images
from worker.measuring.instrument import Instrument, open_instrument
from worker.measuring.weights import verify_weights
from worker.roots import Roots
from worker.settings import Settings

if TYPE_CHECKING:
    from hcmodel.evaluation.fit_methods import FitComparison

Image = TypeVar("Image", LabelledImage, PlaneImage)


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
@click.option(
    "--planes",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Also judge on images by plane, of patients that did not train the gate.",
)
@click.option(
    "--gate-only",
    is_flag=True,
    help="Also images of exams that trained the network, but not the gate behind it.",
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
    planes: Path | None,
    gate_only: bool,
) -> None:
    """Judge weights on labelled images, through the same path as measuring.

    Images of exams that trained the weights are left out unless asked for. ADF and DF are the
    mean absolute and mean signed HC difference, DSC is Dice, HD the Hausdorff distance.

    Example: hc-batch model evaluate ~/hc18 --weights runs/hc18-fold0/hc18.keras
    """
    settings = Settings.from_environment()
    weights = chosen or (settings.weights,)
    if all_images and len(weights) > 1:
        raise click.BadParameter("takes one --weights", param_hint="--all-images")
    if (all_images or gate_only) and into is not None:
        raise click.BadParameter("holds figures of unseen exams only", param_hint="--into")
    images, plane_images = labelled(folder), images_by_plane(planes) if planes else []
    all_settings = [replace(settings, weights=each) for each in weights]
    cards = [verify_weights(each) for each in all_settings]
    unseen = [unseen_images(images, card) for card in cards]
    judged = [unseen_images(images, card, by_gate=True) for card in cards] if gate_only else unseen
    parts = _parts(images, judged, cards, "exams", all_images)
    unseen_by_plane = [unseen_planes(plane_images, card) for card in cards] if planes else []
    plane_parts = _parts(plane_images, unseen_by_plane, cards, "patients", all_images)
    _each_once(parts, plane_parts)
    stress, fitted = None, _comparison() if fits else None
    if stress_images is not None:
        stress = Stress(math.ceil(stress_images / len(weights)), others)
    folds = [
        _judge(part, each, stress, fitted) for part, each in zip(parts, all_settings, strict=True)
    ]
    cases = [case for fold in folds for case in fold]
    plane_cases = _judge_planes(plane_parts, all_settings)
    tables = tables_of(cases, folds, len(cases) - _count(unseen))
    for more in (stress, fitted):
        tables += more.tables() if more else []
    hospital = folder.resolve().name
    if planes:
        trained_on = len(plane_cases) - _count(unseen_by_plane)
        tables += plane_tables(plane_cases, planes.resolve().name, trained_on, {hospital: cases})
    _print(tables, cases)
    if into is not None:
        card = verify_weights(replace(settings, weights=into))
        replace(card, figures=card_figures(cases) | plane_figures(plane_cases)).write(into)
    if report is not None:
        paths = {image.name: image.image_path for image in images}
        seen = []
        if planes and cards[0].gate is not None:
            heads = {paths[case.name]: case for case in folds[0]}
            seen = _sights(plane_cases[: len(plane_parts[0])], heads, hospital, all_settings[0])
        page = report_page(cases, tables, paths, plane_cases, seen)
        report.write_text(page, encoding="utf-8")
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


def _parts(
    images: list[Image],
    unseen: Sequence[list[Image]],
    cards: Sequence[Card],
    kind: str,
    all_images: bool,
) -> list[list[Image]]:
    """Return the images on which the weights of each card are judged.

    ``unseen``: for each card those of the ``kind`` (exams, patients) that did not train it.
    """
    for part, card in zip(unseen, cards, strict=False):
        if not part and not all_images:
            raise TrainingDataUnusable(
                f"all {len(images)} images are of {kind} that trained these weights; --all-images "
                "judges them all the same"
            )
        told = f"{card.model}: {len(part)} of {len(images)} images are of unseen {kind}"
        click.echo(told, err=True)
    return [images if all_images else part for part in unseen]


def _judge(
    images: list[LabelledImage],
    settings: Settings,
    stress: Stress | None,
    fits: FitComparison | None,
) -> list[Case]:
    with _open(settings) as instrument:
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


def _judge_planes(
    parts: Sequence[list[PlaneImage]], all_settings: Sequence[Settings]
) -> list[PlaneCase]:
    cases: list[PlaneCase] = []
    for images, settings in zip(parts, all_settings, strict=False):
        with _open(settings) as instrument:
            cases += progress(evaluate_planes(images, instrument), len(images), "planes")
    return cases


def _sights(
    cases: Sequence[PlaneCase], heads: Mapping[Path, Case], hospital: str, settings: Settings
) -> list[Sight]:
    from hcmodel.engine import Engine

    tell = Engine(settings.weights).tell_planes
    return list(progress(sights(cases, heads, hospital, tell), None, "gate's sight"))


def _open(settings: Settings) -> Instrument:
    # The folder is named by the person who judges; the roots are for files from others.
    return open_instrument(replace(settings, data_roots=Roots()))


def _count(parts: Iterable[Sequence[object]]) -> int:
    return sum(map(len, parts))


def _each_once(
    parts: Sequence[Sequence[LabelledImage]], plane_parts: Sequence[Sequence[PlaneImage]]
) -> None:
    names = Counter(image.name for part in parts for image in part)
    name, count = names.most_common(1)[0]
    if count > 1:
        raise TrainingDataUnusable(
            f"{name} is unseen by {count} of the weights; give those of folds that do not overlap"
        )
    with naming_faults():
        check_divided(plane_parts)
