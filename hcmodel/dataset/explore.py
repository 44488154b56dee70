"""A look at a training folder: sizes, ages, grey values, doubles, and what stands out."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from hcmodel.arrays import ColorImage, FloatArray, GreyImage, shape_of
from hcmodel.dataset.hc18 import LabelledImage, read_grey, read_truth
from hcmodel.drawing import draw_outline
from hcmodel.geometry import Ellipse
from hcmodel.gestational_age import trimester
from hcmodel.html_page import Page, Table, photograph_of, picture_of

GREY_BINS = 16
_SHEET_COLUMNS, _SHEET_ROWS = 4, 5
_THUMB_PX = (240, 162)  # width, height


@dataclass(frozen=True, slots=True)
class Look:
    """What one image shows.

    ``inside`` and ``outside`` are counts of grey values in ``GREY_BINS`` bins, within the head
    and around it; ``hc_gap_mm`` is the outline's circumference less the HC of the table.
    """

    image: LabelledImage
    shape: tuple[int, int]
    truth: Ellipse
    hc_mm: float
    hc_gap_mm: float | None
    sha256: str
    inside: NDArray[np.int64]
    outside: NDArray[np.int64]

    @property
    def cut(self) -> bool:
        """Whether the outline leaves the image."""
        left, top, right, bottom = self.truth.bounding_box_px()
        return left < 0 or top < 0 or right > self.shape[1] - 1 or bottom > self.shape[0] - 1


def look_at(image: LabelledImage) -> Look:
    """Return what an image shows; raises ``TrainingDataError`` where it cannot be used."""
    grey, truth = read_grey(image.image_path), read_truth(image)
    shape = shape_of(grey)
    head = truth.coverage(shape) > 0.5
    outline_mm = truth.circumference_mm(image.spacing)
    return Look(
        image=image,
        shape=shape,
        truth=truth,
        hc_mm=image.hc_mm or outline_mm,
        hc_gap_mm=None if image.hc_mm is None else outline_mm - image.hc_mm,
        sha256=hashlib.sha256(grey.tobytes()).hexdigest(),
        inside=_histogram(grey[head]),
        outside=_histogram(grey[~head]),
    )


def tables(looks: Sequence[Look]) -> list[Table]:
    """Return the folder in words and numbers."""
    return [_overview(looks), _ages(looks), _sizes(looks), _greys(looks), _doubles(looks)]


def explore_page(looks: Sequence[Look]) -> str:
    """Return HTML of the tables, histograms, and a sheet of samples with their outlines."""
    page = Page("hc-batch: the images that train and judge")
    for table in tables(looks):
        page.table(table)
    page.heading("Distributions")
    page.pictures(
        [
            (_bars([look.hc_mm for look in looks], "HC, mm"), "HC"),
            (
                _bars([look.image.spacing.row_mm for look in looks], "pixel size, mm"),
                "pixel size",
            ),
            (_grey_plot(looks), "grey values inside and outside heads"),
        ]
    )
    page.heading("Samples, from the smallest head to the largest")
    page.pictures([(photograph_of(_sheet(looks)), "images with the outline of their mask")])
    return page.html()


def _histogram(values: GreyImage) -> NDArray[np.int64]:
    return np.bincount(values // (256 // GREY_BINS), minlength=GREY_BINS)


def _overview(looks: Sequence[Look]) -> Table:
    exams = Counter(look.image.exam for look in looks)
    repeated = sum(count > 1 for count in exams.values())
    sizes_mm = [look.image.spacing.row_mm for look in looks]
    cut = [look.image.name for look in looks if look.cut]
    gaps = [(abs(look.hc_gap_mm), look.image.name) for look in looks if look.hc_gap_mm is not None]
    rows = [
        ("images with masks", f"{len(looks)}"),
        ("exams", f"{len(exams)}, {repeated} with several images"),
        ("pixel size", f"{min(sizes_mm):.3f} to {max(sizes_mm):.3f} mm"),
        ("outlines that leave the image", f"{len(cut)} {' '.join(cut[:5])}".strip()),
    ]
    if gaps:
        gap_mm, name = max(gaps)
        mean_mm = sum(gap for gap, _ in gaps) / len(gaps)
        rows.append(
            ("outline against table", f"{mean_mm:.2f} mm on average, {gap_mm:.2f} in {name}")
        )
    return "The folder", ("what", "value"), rows


def _ages(looks: Sequence[Look]) -> Table:
    groups: dict[str, list[float]] = defaultdict(list)
    for look in sorted(looks, key=lambda look: look.hc_mm):
        groups[trimester(look.hc_mm)].append(look.hc_mm)
    rows = [
        (
            group,
            f"{len(hc_mm)}",
            f"{np.mean(hc_mm):.1f}",
            f"{min(hc_mm):.1f} to {max(hc_mm):.1f}",
        )
        for group, hc_mm in groups.items()
    ]
    return "HC by age", ("group", "images", "mean mm", "range mm"), rows


def _sizes(looks: Sequence[Look]) -> Table:
    counts = Counter(look.shape for look in looks)
    rows = [(f"{width} x {height}", f"{n}") for (height, width), n in counts.most_common(8)]
    others = len(counts) - len(rows)
    if others:
        rows.append((f"{others} other sizes", f"{len(looks) - sum(int(n) for _, n in rows)}"))
    return "Sizes", ("pixels", "images"), rows


def _greys(looks: Sequence[Look]) -> Table:
    inside, outside = _shares(looks)
    step = 256 // GREY_BINS
    rows = [
        (
            f"{step * index} to {step * (index + 1) - 1}",
            f"{inside[index]:.1f}",
            f"{outside[index]:.1f}",
        )
        for index in range(GREY_BINS)
    ]
    return "Grey values, % of pixels", ("grey", "inside heads", "outside"), rows


def _shares(looks: Sequence[Look]) -> tuple[FloatArray, FloatArray]:
    inside = sum((look.inside for look in looks), np.zeros(GREY_BINS, np.int64))
    outside = sum((look.outside for look in looks), np.zeros(GREY_BINS, np.int64))
    return 100 * inside / max(1, inside.sum()), 100 * outside / max(1, outside.sum())


def _doubles(looks: Sequence[Look]) -> Table:
    same: dict[str, list[str]] = defaultdict(list)
    for look in looks:
        same[look.sha256].append(look.image.name)
    rows = [(" ".join(names),) for names in same.values() if len(names) > 1]
    return "Images with the same pixels", ("names",), rows or [("none",)]


def _bars(values: Sequence[float], label: str) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.hist(values, bins=40)
    axes.set_xlabel(label)
    axes.set_ylabel("images")
    return picture_of(figure)


def _grey_plot(looks: Sequence[Look]) -> str:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axes = figure.add_subplot()
    middles = (np.arange(GREY_BINS) + 0.5) * 256 / GREY_BINS
    for shares, label in zip(_shares(looks), ("inside", "outside"), strict=True):
        axes.plot(middles, shares, marker=".", label=label)
    axes.set_xlabel("grey value")
    axes.set_ylabel("% of pixels")
    axes.set_yscale("log")
    axes.legend()
    return picture_of(figure)


def _sheet(looks: Sequence[Look]) -> ColorImage:
    """Return ``(H, W, 3)`` uint8: samples evenly spread over HC."""
    by_hc = sorted(looks, key=lambda look: look.hc_mm)
    count = min(len(by_hc), _SHEET_COLUMNS * _SHEET_ROWS)
    chosen = [by_hc[round(index)] for index in np.linspace(0, len(by_hc) - 1, count)]
    thumbs = [_thumb(look) for look in chosen]
    thumbs += [np.zeros_like(thumbs[0])] * (-len(thumbs) % _SHEET_COLUMNS)
    rows = [
        np.hstack(thumbs[start : start + _SHEET_COLUMNS])
        for start in range(0, len(thumbs), _SHEET_COLUMNS)
    ]
    return np.vstack(rows)


def _thumb(look: Look) -> ColorImage:
    grey = read_grey(look.image.image_path)
    small = cv2.resize(grey, _THUMB_PX, interpolation=cv2.INTER_AREA)
    shown = np.asarray(cv2.cvtColor(small, cv2.COLOR_GRAY2BGR), np.uint8)
    scale = (_THUMB_PX[0] / look.shape[1], _THUMB_PX[1] / look.shape[0])
    draw_outline(shown, look.truth, (80, 220, 80), scale)
    cv2.putText(
        shown, f"{look.hc_mm:.0f} mm", (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 255, 255), 1
    )
    return shown
