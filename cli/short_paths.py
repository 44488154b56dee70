"""Paths as a table shows them: from what was submitted on, and cut in the middle."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from worker.errors import PathOutsideRoots
from worker.roots import Roots

if TYPE_CHECKING:
    from worker.store.session import Database

_CUT = "\u2026"


def relative(source: str, given: str | None, roots: Roots) -> str:
    """Return what a path has more than the folder that was submitted.

    ``given``: the batch's paths, as its label has them. Where there were several, the folder's own
    name tells them apart; what lies in none of them is shown whole.
    """
    folders = (given or "").split(", ")
    for folder in sorted(folders, key=len, reverse=True):
        if not folder:
            continue
        stored = folder
        with suppress(PathOutsideRoots):
            stored = roots.stored(Path(folder)).removesuffix(".")
        name = PurePosixPath(folder).name
        if source == stored:
            return name
        begin = stored if stored.endswith((":", "/")) else f"{stored}/"
        if source.startswith(begin):
            rest = source[len(begin) :]
            return rest if len(folders) == 1 else f"{name}/{rest}"
    return source


def shortened(text: str, width: int) -> str:
    """Return the text in at most ``width`` cells of a terminal: its end, and its beginning."""
    if cell_len(text) <= width:
        return text
    first = max((width - 1) // 4, 0)
    begin = set_cell_size(text, first).rstrip(" ")
    end = ""
    for letter in reversed(text):
        if cell_len(begin) + 1 + cell_len(letter + end) > width:
            break
        end = letter + end
    return f"{begin}{_CUT}{end}"


class ShownPaths:
    """Paths of rows as a table shows them; asks the ledger once for what a batch was given."""

    def __init__(self, database: Database, roots: Roots) -> None:
        self._database = database
        self._roots = roots
        self._given: dict[str, str | None] = {}

    def __call__(self, batch: str, source: str) -> str:
        """Return a path of the batch from what was submitted on."""
        if batch not in self._given:
            from worker.store.batches import label_of

            self._given[batch] = label_of(self._database, batch)
        return relative(source, self._given[batch], self._roots)
