"""Pictures of rows into a folder, told as people want to know it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cli.console import stderr
from worker.plain_text import visible

if TYPE_CHECKING:
    from worker.roots import Roots
    from worker.store.rows import ReportRow

_NAMED = 20  # lines that fit a terminal


def write_overlays(rows: Iterable[ReportRow], folder: Path, roots: Roots) -> bool:
    """Write the pictures, name what could not be drawn; return whether all could.

    Raises ``OutputUnwritable`` and ``DiskFull``.
    """
    # Loads arrays and images: not for those who want rows alone.
    from worker.reports.pictures.folder import draw_rows

    drawn = 0
    problems: Counter[str] = Counter()
    for each in draw_rows(rows, folder, roots):
        if each.problem is None:
            drawn += 1
            continue
        problems[each.problem.code] += 1
        if problems.total() <= _NAMED:
            name = visible(each.row.source)
            stderr.print(f"no picture of {name}: {each.problem} [{each.problem.code}]")
    if problems.total() > _NAMED:
        by_code = ", ".join(f"{count} {code}" for code, count in problems.most_common())
        stderr.print(f"no picture of {problems.total()} in all: {by_code}")
    stderr.print(f"{drawn} pictures in {folder}")
    return not problems
