"""What is removed, or would be, told before it goes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
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
    "references": "values of scanners' reports",
    "skipped": "names of skipped files",
}

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
    counts = {each.name: getattr(removal, each.name) for each in fields(removal)}
    lines = [f"{counts[name]} {word}" for name, word in _WORDS.items() if counts[name]]
    stdout.print(f"{'removed' if really else 'would remove'}: {', '.join(lines) or 'nothing'}")
    if removal.kept:
        stdout.print(
            f"{removal.kept} ended scans stay: others repeat them, or their file still lies in a"
            " watched folder"
        )
    if not really and lines:
        stderr.print("nothing was removed; the same with --yes removes it")
