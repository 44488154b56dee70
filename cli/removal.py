"""What is removed, or would be, told before it goes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from cli.console import stderr, stdout
from worker.errors import HcBatchError

if TYPE_CHECKING:
    from worker.roots import Roots
    from worker.store.removal import Removal

_WORDS = {
    "batches": "batches",
    "scans": "scans",
    "results": "results",
    "attempts": "lines of history",
    "reviews": "reviews by people",
    "reference_values": "values of scanners' reports",
    "skipped_files": "names of skipped files",
}
"""What people call a table's rows; others by the table's name."""

yes_option = click.option("--yes", is_flag=True, help="Remove it; else what would go is told.")


def file_is_there(roots: Roots) -> Callable[[str], bool]:
    """Return what tells whether a stored path's file is there; of an unknown root it may be."""

    def is_there(source: str) -> bool:
        try:
            return os.path.lexists(roots.located(source))
        except HcBatchError:
            return True

    return is_there


def tell(removal: Removal, *, really: bool) -> None:
    """Say what went, or would go, and what stays."""
    names = [*_WORDS, *(name for name in removal.rows if name not in _WORDS)]
    counts = {name: removal.rows.get(name, 0) for name in names}
    lines = [f"{count} {_WORDS.get(name, name)}" for name, count in counts.items() if count]
    stdout.print(f"{'removed' if really else 'would remove'}: {', '.join(lines) or 'nothing'}")
    if removal.kept:
        stdout.print(
            f"{removal.kept} ended scans stay: others repeat them, their file still lies in a"
            " watched folder, or they wait to be sent"
        )
    if not really and lines:
        stderr.print("nothing was removed; the same with --yes removes it")
