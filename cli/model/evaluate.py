"""``hc-batch model evaluate``: judges weights on exams they have not seen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

from cli.console import progress, stdout
from cli.model.dataset import folder_argument, labelled, print_table, unseen_images
from cli.model.fits import Fits
from cli.stress import Stress
from hcmodel.dataset.hc18 import LabelledImage
from hcmodel.evaluation.metrics import (
    Case,
    Trust,
    coverage,
    figures,
    reliability,
    repeatability,
    trust,
    worst,
)
from hcmodel.evaluation.report import report_page
from hcmodel.html_page import Table
from hcmodel.model_card import Card
from worker.errors import TrainingDataUnusable
from worker.evaluation import evaluate as evaluate_images
from worker.measuring.instrument import open_instrument, verify_weights
from worker.roots import Roots
from worker.settings import Settings


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
    stress, fitted = None, Fits() if fits else None
    if stress_images is not None:
        stress = Stress(math.ceil(stress_images / len(weights)), others)
    folds = [
        _judge(part, replace(settings, weights=each), stress, fitted)
        for part, each in zip(parts, weights, strict=True)
    ]
    cases = [case for fold in folds for case in fold]
    seen = len(cases) - sum(len(unseen_images(images, card)) for card in cards)
    tables = _tables(cases, folds, seen)
    for more in (stress, fitted):
        tables += more.tables() if more else []
    for table in tables:
        print_table(table)
    for case in cases:
        if case.hc_mm is None:
            stdout.print(f"refused: {case.name} {case.code}")
    if into is not None:
        card = verify_weights(replace(settings, weights=into))
        replace(card, figures=_noted(cases)).write(into)
    if report is not None:
        paths = {image.name: image.image_path for image in images}
        report.write_text(report_page(cases, tables, paths), encoding="utf-8")
        stdout.print(f"report: {report}")


def _part(images: list[LabelledImage], card: Card, all_images: bool) -> list[LabelledImage]:
    """The images on which the card's weights are judged."""
    unseen = unseen_images(images, card)
    if not unseen and not all_images:
        raise TrainingDataUnusable(
            f"all {len(images)} images are of exams that trained these weights; --all-images "
            "judges them all the same"
        )
    click.echo(f"{card.model}: {len(unseen)} of {len(images)} images are of unseen exams", err=True)
    return images if all_images else unseen


def _judge(
    images: list[LabelledImage], settings: Settings, stress: Stress | None, fits: Fits | None
) -> list[Case]:
    # The folder is named by the person who judges; the roots are for files from others.
    with open_instrument(replace(settings, data_roots=Roots())) as instrument:
        cases = list(progress(evaluate_images(images, instrument), len(images), "evaluating"))
        if stress is not None:
            for done in progress(stress.add(images, instrument), None, "stress"):
                click.echo(f"tried: {done}", err=True)
    if fits is not None:
        fitting = fits.add(images, settings.weights, thorough=settings.thorough)
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


def _noted(cases: Sequence[Case]) -> dict[str, object]:
    overall, *groups = figures(cases)
    noted: dict[str, object] = {"unseen images": overall.images, "refused": overall.refused}
    noted |= {f"ADF mm, {group.group}": _rounded(group.adf_mm) for group in (overall, *groups)}
    noted |= {"DF mm": _rounded(overall.df_mm), "DSC %": _rounded(overall.dsc_percent)}
    return noted | {"HD mm": _rounded(overall.hd_mm), "flagged": overall.flagged}


def _tables(cases: Sequence[Case], folds: Sequence[Sequence[Case]], seen: int) -> list[Table]:
    tables = [_difference_table(cases, seen)]
    trusted = trust(cases)
    if trusted is not None:
        tables.append(_trust_table(trusted, folds))
        tables.append(_interval_table(cases))
        tables.append(_reliability_table(cases))
        tables.append(_repeatability_table(cases))
    return [*tables, _worst_table(cases)]


def _difference_table(cases: Sequence[Case], seen: int) -> Table:
    title = "Differences of HC, measured minus truth"
    if seen:
        title += f"; the weights were trained on exams of {seen} of these images"
    headings = (
        *("group", "images", "refused", "flagged"),
        *("ADF mm", "DF mm", "rel. %", "DSC %", "HD mm"),
    )
    rows = [
        (
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
        for line in figures(cases)
    ]
    return title, headings, rows


def _trust_table(found: Trust, folds: Sequence[Sequence[Case]]) -> Table:
    rows = [
        ("median of the absolute differences", f"{found.median_mm:.2f} mm"),
        ("90th percentile", f"{found.percentile_90_mm:.2f} mm"),
        ("flagged", f"{found.flagged_percent:.1f} %"),
        ("refused", f"{found.refused_percent:.1f} %"),
        ("above 10 mm and not flagged", f"{found.unflagged_above_10_mm}"),
        ("above 6 mm and not flagged", f"{found.unflagged_above_6_mm}"),
        ("ADF on the 80 % most confident", f"{found.adf_confident_mm:.2f} mm"),
        ("area under the risk-coverage curve", f"{found.aurc_confidence_mm:.2f} mm"),
        ("the same at random", f"{found.aurc_random_mm:.2f} mm"),
        ("the same by the error itself", f"{found.aurc_oracle_mm:.2f} mm"),
    ]
    means_mm = [line.adf_mm for line in (figures(fold)[0] for fold in folds) if line.adf_mm]
    if len(means_mm) > 1:
        listed = " ".join(f"{mean_mm:.2f}" for mean_mm in means_mm)
        spread_mm = float(np.std(means_mm, ddof=1))
        rows.insert(0, ("ADF of each fold, standard deviation", f"{listed}, {spread_mm:.2f} mm"))
    return "How far to rely on it", ("quantity", "value"), rows


def _interval_table(cases: Sequence[Case]) -> Table:
    rows = [
        (line.group, f"{line.images}", f"{line.covered_percent:.1f}", f"{line.width_mm:.1f}")
        for line in coverage(cases)
    ]
    headings = ("group", "images", "holds the truth, %", "mean width mm")
    title = "90 % interval of HC" if rows else "90 % interval of HC: these weights have none"
    return title, headings, rows


def _reliability_table(cases: Sequence[Case]) -> Table:
    rows = [
        (f"{number}", f"{each.images}", f"{each.confidence:.2f}", f"{each.within:.2f}")
        for number, each in enumerate(reliability(cases), start=1)
    ]
    headings = ("fifth", "images", "mean confidence", "off by at most 3 mm")
    return "Calibration of the confidence", headings, rows


def _repeatability_table(cases: Sequence[Case]) -> Table:
    headings = (
        *("group", "pairs", "labels apart mm", "measured apart mm"),
        *("own sd of labels mm", "own sd of measured mm"),
    )
    rows = [
        (
            line.group,
            f"{line.pairs}",
            *map(_plain, (line.truth_apart_mm, line.measured_apart_mm)),
            *map(_plain, (line.truth_sd_mm, line.measured_sd_mm)),
        )
        for line in repeatability(cases)
    ]
    return "Two images of one exam, both without a flag", headings, rows


def _worst_table(cases: Sequence[Case]) -> Table:
    headings = ("image", "truth mm", "HC mm", "difference mm", "confidence", "flags")
    rows = [
        (
            case.name,
            _plain(case.truth_hc_mm),
            _plain(case.hc_mm),
            _plain(case.difference_mm),
            _plain(case.confidence),
            " ".join(case.flags),
        )
        for case in worst(cases)
    ]
    return "Largest differences", headings, rows


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:z.2f}"


def _with_sd(mean: float | None, deviation: float | None) -> str:
    return _plain(mean) + (f" ± {deviation:.2f}" if deviation is not None else "")
