"""What ``hc-batch model evaluate --stress`` tries: other looks of images, and none with a head."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from hcmodel.dataset.hc18 import LabelledImage
from hcmodel.evaluation.metrics import Case, figures, trust
from hcmodel.evaluation.negatives import NEGATIVES
from hcmodel.evaluation.perturbations import CHANGES
from hcmodel.html_page import Table
from worker.evaluation import evaluate_changed, measured_negatives, measured_others
from worker.measuring.instrument import Instrument
from worker.result import Result, Status


class Stress:
    """Collects answers, of several instruments if need be."""

    def __init__(self, images: int, others: Path | None) -> None:
        self._images = images
        self._others = others
        self._changed: dict[str, list[Case]] = defaultdict(list)
        self._negatives: dict[str, list[Result]] = defaultdict(list)

    def add(self, unseen: Sequence[LabelledImage], instrument: Instrument) -> Iterator[str]:
        """Tries an instrument on some of its unseen images; yields what has been tried."""
        step = max(1, len(unseen) // max(1, self._images))
        chosen = unseen[::step][: self._images]
        with tempfile.TemporaryDirectory() as name:
            for change, apply in CHANGES.items():
                self._changed[change] += evaluate_changed(chosen, apply, instrument, Path(name))
                yield change
            for kind, make in NEGATIVES.items():
                self._negatives[kind] += measured_negatives(chosen, make, instrument, Path(name))
                yield kind
        if self._others is not None:
            self._negatives[f"files in {self._others.name}"] += measured_others(
                self._others, instrument
            )

    def tables(self) -> list[Table]:
        """Robustness, and what became of images without a head."""
        return [self._robustness(), self._refusals()]

    def _robustness(self) -> Table:
        rows = []
        for change, cases in self._changed.items():
            overall, found = figures(cases)[0], trust(cases)
            means = (
                ("", "", "")
                if found is None
                else (
                    f"{overall.adf_mm:.2f}",
                    f"{overall.df_mm:+.2f}",
                    f"{found.unflagged_above_10_mm}",
                )
            )
            counts = (overall.images, overall.refused, overall.flagged)
            rows.append((change, *map(str, counts), *means))
        headings = ("images shown", "images", "refused", "flagged", "ADF mm", "DF mm")
        return "The same images, shown otherwise", (*headings, "above 10 mm, no flag"), rows

    def _refusals(self) -> Table:
        rows = []
        for kind, results in self._negatives.items():
            measured = sum(result.status is Status.MEASURED for result in results)
            flagged = sum(result.status is Status.FLAGGED for result in results)
            refused = len(results) - measured - flagged
            rows.append((kind, *map(str, (len(results), refused, flagged, measured))))
        total = [sum(int(row[column]) for row in rows) for column in range(1, 5)]
        share = 100 * total[3] / max(1, total[0])
        rows.append(("all", *map(str, total[:3]), f"{total[3]} ({share:.1f} %)"))
        headings = ("images without a head", "images", "refused", "flagged", "measured")
        return "No head to measure", headings, rows
