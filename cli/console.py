"""Data on standard output, messages on standard error; a progress bar where a person looks on."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from rich.console import Console
from rich.text import Text

from worker.plain_text import visible

Item = TypeVar("Item")

FILE_WIDTH = 160  # where no terminal cuts lines


class TextConsole(Console):
    """Shows each string as the text that it is: no markup, and escapes for what does not print."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the text as it is shown; rich asks for every string that it is given."""
        return super().render_str(visible(text), **options)

    def on_broken_pipe(self) -> None:
        """Raise the ``BrokenPipeError`` where rich would end the process with a code of its own."""
        raise


stdout = TextConsole(width=None if sys.stdout.isatty() else FILE_WIDTH)
stderr = TextConsole(stderr=True, soft_wrap=True)


def progress(items: Iterable[Item], total: int | None, label: str) -> Iterator[Item]:
    """Yield the items, with a bar on standard error while a terminal is there."""
    from rich.progress import track

    yield from track(
        items, label, total=total, console=stderr, transient=True, disable=not stderr.is_terminal
    )
