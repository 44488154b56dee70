"""The figures of weights in tables: as printed, as in the report, and as the card keeps them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
from hcmodel.evaluation.studies import study_figures
from hcmodel.html_page import Table


def card_figures(cases: Sequence[Case]) -> dict[str, object]:
    """Return the few figures that a card keeps, rounded to 0.01; ``None`` without an answer."""
    overall, *groups = figures(cases)
    noted: dict[str, object] = {"unseen images": overall.images, "refused": overall.refused}
    noted |= {f"ADF mm, {group.group}": _rounded(group.adf_mm) for group in (overall, *groups)}
    noted |= {"DF mm": _rounded(overall.df_mm), "DSC %": _rounded(overall.dsc_percent)}
    return noted | {"HD mm": _rounded(overall.hd_mm), "flagged": overall.flagged}


def tables_of(cases: Sequence[Case], folds: Sequence[Sequence[Case]], seen: int) -> list[Table]:
    """Return all tables on ``cases``, which are those of ``folds``.

    ``seen``: how many of the images are of exams that trained their weights.
    """
    tables = [_difference_table(cases, seen)]
    trusted = trust(cases)
    if trusted is not None:
        tables.append(_trust_table(trusted, folds))
        tables.append(_interval_table(cases))
        tables.append(_reliability_table(cases))
        tables.append(_repeatability_table(cases))
        tables += _studies_table(cases, seen)
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


def _studies_table(cases: Sequence[Case], seen: int) -> list[Table]:
    found = study_figures(cases)
    if found is None:
        return []
    folds = " ".join(f"{share:.2f}" for share in found.by_fold)
    title = (
        f"Exams with several trusted images; error in common: {found.shared:.2f} of the variance "
        f"(other folds: {folds}); one image within its exam has a standard deviation of "
        f"{found.measured_sd_mm:.2f} mm, its label of {found.labels_sd_mm:.2f} mm"
    )
    if seen:
        title += f"; the weights were trained on exams of {seen} images"
    rows = [
        (
            line.group,
            f"{line.count}",
            _with_sd(line.adf_mm, line.adf_sd_mm),
            f"{line.df_mm:+.2f}",
            f"{line.covered_percent:.1f}",
            f"{line.width_mm:.1f}",
        )
        for line in found.lines
    ]
    headings = ("HC of", "count", "ADF mm", "DF mm", "interval holds, %", "its mean width mm")
    return [(title, headings, rows)]


def _with_sd(mean: float | None, deviation: float | None) -> str:
    return _plain(mean) + (f" ± {deviation:.2f}" if deviation is not None else "")
