"""Data on standard output, messages on standard error; a progress bar where a person looks on."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")

_FILE_WIDTH = 160  # where no terminal cuts lines

stdout = Console(highlight=False, width=None if sys.stdout.isatty() else _FILE_WIDTH)
stderr = Console(stderr=True, highlight=False, soft_wrap=True)


def progress(items: Iterable[Item], total: int | None, label: str) -> Iterator[Item]:
    """Yield the items, with a bar on standard error while a terminal is there."""
    yield from track(
        items, label, total=total, console=stderr, transient=True, disable=not stderr.is_terminal
    )
