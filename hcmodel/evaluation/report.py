"""The judgement of weights as one HTML page: tables, plots, and the worst cases to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np

from hcmodel.dataset.hc18 import read_grey
from hcmodel.drawing import draw_outline
from hcmodel.evaluation.gate_sight import Sight, sight_table
from hcmodel.evaluation.metrics import Case, errors_of, reliability, risk_coverage, worst
from hcmodel.evaluation.planes import (
    PlaneCase,
    head_curve,
    measured_bodies,
    plane_curve,
    refused_heads,
)
from hcmodel.geometry import Ellipse
from hcmodel.html_page import Page, Table, photograph_of, picture_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Shown = TypeVar("Shown", Case, PlaneCase)

_SHOWN = 9
_SHOWN_SIGHTS = 2
_TRUTH_BGR = (80, 220, 80)
_MEASURED_BGR = (60, 120, 255)


def report_page(
    cases: Sequence[Case],
    tables: Sequence[Table],
    paths: Mapping[str, Path],
    planes: Sequence[PlaneCase],
    seen: Sequence[Sight],
) -> str:
    """Return HTML of what was printed and what only pictures tell; ``paths`` finds images."""
    page = Page("hc-batch: how well the network measures")
    for table in tables:
        page.table(table)
    answered = [case for case in cases if case.hc_mm is not None]
    if answered:
        _add_errors(page, answered, paths)
    if planes:
        _add_planes(page, planes)
    if seen:
        _add_sights(page, seen)
    return page.html()


def _add_errors(page: Page, answered: Sequence[Case], paths: Mapping[str, Path]) -> None:
    page.heading("Plots")
    page.pictures(
        [
            (_plot(_bland_altman, answered), "Bland-Altman: difference against mean, with limits"),
            (_plot(_risk_coverage, answered), "Risk-coverage: error of the most trusted images"),
            (_plot(_reliability, answered), "Calibration: confidence against what came true"),
            (_plot(_histogram, answered), "Differences of HC"),
        ]
    )
    for title, members in (
        ("Largest errors without a flag", [case for case in answered if not case.flags]),
        ("Largest errors with a flag", [case for case in answered if case.flags]),
    ):
        page.heading(title)
        page.text("Green: truth. Orange: measured.")
        page.pictures(_picture(case, paths[case.name]) for case in worst(members, _SHOWN))


def _add_planes(page: Page, cases: Sequence[PlaneCase]) -> None:
    page.heading("The gate's risk curve")
    page.pictures([(_plot(_gate_risk, cases), "What is lost against what is let through")])
    for title, members in (
        ("Bodies that came out measured", measured_bodies(cases)),
        ("Heads in a plane for HC that were refused", refused_heads(cases)),
    ):
        page.heading(f"{title}: {len(members)}")
        page.text("Orange: what was outlined.")
        page.pictures(map(_plane_picture, members[:_SHOWN]))


def _add_sights(page: Page, seen: Sequence[Sight]) -> None:
    page.table(sight_table(seen))
    page.text(
        "Heat: how much less sure the gate is of its word when a patch hides the place. Left what "
        "it sees; right the outline in orange, and the heat, brightest where most is lost."
    )
    shown = [
        sight
        for group in dict.fromkeys(each.group for each in seen)
        for sight in [each for each in seen if each.group == group][:_SHOWN_SIGHTS]
    ]
    page.pictures(map(_sight_picture, shown))


def _plot(draw: Callable[[Axes, Sequence[Shown]], None], cases: Sequence[Shown]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 3.5), layout="constrained")
    axes = figure.add_subplot()
    axes.grid(alpha=0.3)
    draw(axes, cases)
    return picture_of(figure)


def _bland_altman(axes: Axes, cases: Sequence[Case]) -> None:
    differences_mm = np.array([case.difference_mm for case in cases], float)
    means_mm = np.array([case.truth_hc_mm for case in cases]) + differences_mm / 2
    flagged = np.array([bool(case.flags) for case in cases])
    axes.scatter(means_mm[~flagged], differences_mm[~flagged], s=8, label="not flagged")
    axes.scatter(means_mm[flagged], differences_mm[flagged], s=14, label="flagged")
    mean_mm, deviation_mm = differences_mm.mean(), differences_mm.std()
    for line_mm in (mean_mm, mean_mm - 1.96 * deviation_mm, mean_mm + 1.96 * deviation_mm):
        axes.axhline(line_mm, color="grey", linewidth=1)
    axes.set_xlabel("mean of measured and true HC, mm")
    axes.set_ylabel("measured - true HC, mm")
    axes.legend()


def _risk_coverage(axes: Axes, cases: Sequence[Case]) -> None:
    errors_mm = errors_of(cases)
    confidences = np.array([case.confidence or 0.0 for case in cases])
    share = np.arange(1, len(errors_mm) + 1) / len(errors_mm)
    axes.plot(share, risk_coverage(errors_mm, confidences), label="by confidence")
    axes.plot(share, risk_coverage(errors_mm, -errors_mm), label="by the error itself")
    axes.axhline(errors_mm.mean(), color="grey", linewidth=1, label="at random")
    axes.set_xlabel("share of images, most trusted first")
    axes.set_ylabel("mean absolute difference, mm")
    axes.set_ylim(bottom=0)
    axes.legend()


def _reliability(axes: Axes, cases: Sequence[Case]) -> None:
    bins = reliability(cases, bins=10)
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    axes.plot([each.confidence for each in bins], [each.within for each in bins], marker="o")
    axes.set_xlabel("mean confidence of a tenth of the images")
    axes.set_ylabel("share off by at most 3 mm")


def _histogram(axes: Axes, cases: Sequence[Case]) -> None:
    axes.hist(np.array([case.difference_mm for case in cases], float), bins=50)
    axes.set_xlabel("measured - true HC, mm")
    axes.set_ylabel("images")


def _gate_risk(axes: Axes, cases: Sequence[PlaneCase]) -> None:
    for curve, label in (
        (head_curve(cases), "heads lost, bodies let through"),
        (plane_curve(cases), "heads for HC lost, other heads let through"),
    ):
        axes.step(*curve, where="post", label=label)
    axes.set_xlabel("lost, %")
    axes.set_ylabel("let through, %")
    # One image in a thousand is to be seen as well as half of them; no image is 0.
    axes.set_xscale("symlog", linthresh=0.1)
    axes.set_yscale("symlog", linthresh=0.1)
    axes.set(xlim=(0, 100), ylim=(0, 100))
    axes.legend()


def _picture(case: Case, path: Path) -> tuple[str, str]:
    caption = (
        f"{case.name}: {case.difference_mm:+.1f} mm of {case.truth_hc_mm:.1f} mm, "
        f"confidence {case.confidence:.2f} {' '.join(case.flags)}"
    )
    return _outlined(path, {_TRUTH_BGR: case.truth, _MEASURED_BGR: case.ellipse}), caption


def _plane_picture(case: PlaneCase) -> tuple[str, str]:
    told = "" if case.told_plane is None else f", taken for {case.told_plane}"
    sure = "" if case.plane_confidence is None else f" at {case.plane_confidence:.2f}"
    image = case.image
    caption = f"{image.name}: {image.plane}{told}{sure} {case.code or ''}"
    return _outlined(image.image_path, {_MEASURED_BGR: case.ellipse}), caption


def _sight_picture(sight: Sight) -> tuple[str, str]:
    told = sight.told
    caption = (
        f"{sight.name}: {sight.plane}, taken for {told.plane} at "
        f"{told.confidence:.2f}; {sight.heat.max():.2f} lost at the hottest"
    )
    return photograph_of(sight.picture()), caption


def _outlined(path: Path, outlines: Mapping[tuple[int, int, int], Ellipse | None]) -> str:
    """Return an image with outlines, each in its colour, as an address of ``html_page``."""
    grey = read_grey(path)
    scale = 480 / grey.shape[1]
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    shown = np.asarray(cv2.cvtColor(small, cv2.COLOR_GRAY2BGR), np.uint8)
    for color_bgr, outline in outlines.items():
        if outline is not None:
            draw_outline(shown, outline, color_bgr, (scale, scale))
    return photograph_of(shown)
