"""Ratios that were reached, in a file: what falls far below them is noticed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from worker.bench.alternating import Ratio
from worker.reports.output_file import replacing

LEAST_SHARE = 0.85
"""Of the ratio that was reached; between runs on a busy machine medians differ by less."""


def write_kept(path: Path, ratios: Sequence[Ratio]) -> None:
    """Write the medians by name as JSON."""
    with replacing(path) as out:
        json.dump({each.name: round(each.value, 3) for each in ratios}, out, indent=2)
        out.write("\n")


def fallen(path: Path, ratios: Sequence[Ratio]) -> list[str]:
    """Return a line for each ratio that lost more than its share of what ``path`` tells."""
    before = json.loads(path.read_text(encoding="utf-8"))
    return list(_fallen(before, ratios))


def _fallen(before: dict[str, float], ratios: Sequence[Ratio]) -> Iterator[str]:
    for each in ratios:
        kept = before.get(each.name)
        if kept is None:
            continue
        share = kept / each.value if each.is_cost else each.value / kept
        if share < LEAST_SHARE:
            yield f"{each.name}: {each.value:.2f}, was {kept:.2f}"
