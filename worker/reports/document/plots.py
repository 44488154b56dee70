"""Plots as SVG that stands in a page: in the page's colours, light or dark, and fetched nowhere."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hcmodel.agreement import Agreement, Pair
from hcmodel.growth import AGES_WEEKS, Chart, hc_mm_at
from worker.result import Status

INK, SOFT, LINE, MAIN, SECOND, THIRD = (f"#01020{digit}" for digit in range(1, 7))
_VARIABLES = {
    INK: "--ink",
    SOFT: "--soft",
    LINE: "--line",
    MAIN: "--main",
    SECOND: "--second",
    THIRD: "--third",
}
"""Colours that nobody draws in, and the page's variables that take their places."""
_SIZE_IN = (6.4, 3.6)
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
}
_CENTILES = (3, 10, 50, 90, 97)
_LABELLED = (3, 50, 97)
_WEEK_STEPS = 105


def distribution(hc_mm: Mapping[Status, Sequence[float]]) -> Markup:
    """Return how many heads have which size, those that are flagged on top."""

    def draw(axes: Axes) -> None:
        shown = [status for status in (Status.MEASURED, Status.FLAGGED) if hc_mm.get(status)]
        axes.hist(
            [list(hc_mm[status]) for status in shown],
            bins=range(0, 420, 10) if _spread_mm(hc_mm) > 60 else 20,
            stacked=True,
            color=[MAIN if status is Status.MEASURED else SECOND for status in shown],
            label=[status.value for status in shown],
        )
        low, high = _range_mm(hc_mm)
        axes.set_xlim(low - 10, high + 10)
        axes.set(xlabel="HC, mm", ylabel="scans")
        axes.legend()

    return _svg("distribution", "Histogram of HC", draw)


def flag_rates(percent_by_day: Mapping[str, float | None]) -> Markup:
    """Return the share of flagged measurements, day by day."""

    def draw(axes: Axes) -> None:
        days = {
            date.fromisoformat(day): percent
            for day, percent in percent_by_day.items()
            if percent is not None
        }
        names = sorted(days)
        axes.bar([f"{day:%b %d}" for day in names], [days[day] for day in names], color=SECOND)
        if len(names) > 8:
            step = -(-len(names) // 8)
            axes.set_xticks(range(0, len(names), step))
        axes.set(ylabel="flagged, %", ylim=(0, None))

    return _svg("flag-rates", "Flagged measurements by day, in per cent", draw)


def repeats(pairs: Iterable[tuple[float, float]]) -> Markup:
    """Return differences of two images of one study against their mean, both in mm."""
    listed = list(pairs)

    def draw(axes: Axes) -> None:
        axes.axhline(0, color=SOFT, linewidth=0.8)
        axes.scatter(
            [(one + other) / 2 for one, other in listed],
            [one - other for one, other in listed],
            color=MAIN,
            s=12,
        )
        axes.set(xlabel="mean of two images, mm", ylabel="difference, mm")

    return _svg("repeats", "Differences of HC between two images of one study", draw)


def bland_altman(pairs: Sequence[Pair], found: Agreement) -> Markup:
    """Return ours less theirs against the mean of both, with bias and limits of agreement."""

    def draw(axes: Axes) -> None:
        axes.scatter(
            [pair.mean_mm for pair in pairs],
            [pair.difference_mm for pair in pairs],
            color=MAIN,
            s=14,
        )
        axes.axhline(found.bias_mm.value, color=INK, linewidth=1.2)
        for limit in (found.lower_mm, found.upper_mm):
            if limit is not None:
                axes.axhline(limit.value, color=SECOND, linewidth=1, linestyle="--")
        axes.set(xlabel="mean of both, mm", ylabel="ours - theirs, mm")

    return _svg("bland-altman", "Bland-Altman plot: ours less theirs against the mean", draw)


def growth_chart(points: Sequence[tuple[float, float]], chart: Chart) -> Markup:
    """Return HC in mm against age in weeks, on a chart's centiles."""

    def draw(axes: Axes) -> None:
        first, last = AGES_WEEKS
        weeks = [first + (last - first) * step / (_WEEK_STEPS - 1) for step in range(_WEEK_STEPS)]
        for centile in _CENTILES:
            curve = [hc_mm_at(week, centile, chart) for week in weeks]
            known = [(week, mm) for week, mm in zip(weeks, curve, strict=True) if mm is not None]
            axes.plot(
                [week for week, _ in known],
                [mm for _, mm in known],
                color=INK if centile == 50 else SOFT,
                linewidth=1.2 if centile == 50 else 0.8,
            )
            if centile in _LABELLED:
                axes.annotate(f"{centile}", known[-1], xytext=(3, -3), textcoords="offset points")
        axes.scatter([week for week, _ in points], [mm for _, mm in points], color=MAIN, s=14)
        axes.set(xlabel="gestational age, weeks", ylabel="HC, mm")

    return _svg("growth", f"HC against gestational age on the centiles of {chart.value}", draw)


def _range_mm(hc_mm: Mapping[Status, Sequence[float]]) -> tuple[float, float]:
    sizes = [size for values in hc_mm.values() for size in values]
    return min(sizes), max(sizes)


def _spread_mm(hc_mm: Mapping[Status, Sequence[float]]) -> float:
    low, high = _range_mm(hc_mm)
    return high - low


def _svg(name: str, label: str, draw: Any) -> Markup:
    """Return a figure as markup, with ids of its own and its label for those who cannot see it."""
    style: Any = {**_STYLE, "svg.hashsalt": name}
    with mpl.rc_context(style):
        figure = Figure(figsize=_SIZE_IN, layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        draw(axes)
        content = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(content, format="svg", metadata=nothing)
    return Markup(_inline(content.getvalue(), name, label))


def _inline(svg: str, name: str, label: str) -> str:
    text = svg[svg.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = text.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    for color, variable in _VARIABLES.items():
        text = text.replace(color, f"var({variable})")
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
