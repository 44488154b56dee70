"""What ``hc-batch model evaluate --fits`` compares: ways to an ellipse, and single signals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hcmodel.dataset.hc18 import LabelledImage
from hcmodel.evaluation.metrics import Case, errors_of, figures, risk_coverage
from hcmodel.html_page import Table


class Fits:
    """Collects what several networks give on their unseen images."""

    def __init__(self) -> None:
        self._cases: dict[str, list[Case]] = {}
        self._signals: list[dict[str, float]] = []

    def add(
        self, unseen: Sequence[LabelledImage], weights: Path, *, thorough: bool
    ) -> Iterator[str]:
        """Fits each image in every way; yields the names of images that are done."""
        # Keras takes 4 to 5 s to import: only those who measure pay for it.
        from hcmodel.engine import Engine
        from hcmodel.evaluation.fit_methods import fit_all_ways

        for fitted in fit_all_ways(unseen, Engine(weights, thorough=thorough)):
            for way, ellipse in fitted.ellipses.items():
                spacing = fitted.image.spacing
                case = Case(
                    name=fitted.image.name,
                    exam=fitted.image.exam,
                    shape=fitted.shape,
                    spacing=spacing,
                    truth=fitted.truth,
                    truth_hc_mm=fitted.image.hc_mm or fitted.truth.circumference_mm(spacing),
                    ellipse=ellipse,
                    hc_mm=None if ellipse is None else ellipse.circumference_mm(spacing),
                    hc_low_mm=None,
                    hc_high_mm=None,
                    confidence=None,
                    flags=(),
                    code=None,
                )
                self._cases.setdefault(way, []).append(case)
            self._signals.append(fitted.signals)
            yield fitted.image.name

    def tables(self) -> list[Table]:
        """The ways side by side; how well each signal alone ranks the errors of the first way."""
        rows = []
        for way, cases in self._cases.items():
            line = figures(cases)[0]
            means = (line.adf_mm, line.df_mm, line.dsc_percent, line.hd_mm)
            shown = ("" if mean is None else f"{mean:.2f}" for mean in means)
            rows.append((way, f"{line.images}", f"{line.refused}", *shown))
        headings = ("way to the ellipse", "images", "failed", "ADF mm", "DF mm", "DSC %", "HD mm")
        return [("The same maps, fitted otherwise", headings, rows), self._ranking()]

    def _ranking(self) -> Table:
        first = next(iter(self._cases.values()), [])
        answered = [index for index, case in enumerate(first) if case.hc_mm is not None]
        errors_mm = errors_of([first[index] for index in answered])
        signals = [self._signals[index] for index in answered]
        areas_mm = {
            name: risk_coverage(errors_mm, np.array([each[name] for each in signals])).mean()
            for name in (signals[0] if signals else ())
        }
        areas_mm["the error itself"] = risk_coverage(errors_mm, -errors_mm).mean()
        rows = [(name, f"{area_mm:.2f}") for name, area_mm in areas_mm.items()]
        return "Area under the risk-coverage curve", ("ranked by", "mm"), rows
