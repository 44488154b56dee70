"""Rows as CSV: most of what follows is there for its speed, as a ledger may hold millions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TextIO

from worker.columns import Column
from worker.plain_text import visible
from worker.reports.extract import Extract, iso_times, rounded

# With these a spreadsheet takes a text for a formula; tabs and line ends are visible by then.
_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20")
_MOST_NUMBERS = 200_000
"""Texts of numbers that are kept, for each count of decimals: an HC has some 40,000."""

Cells = Callable[[Sequence[Any]], Sequence[str]]
"""What makes cells of a column's values."""


def write_csv(extract: Extract, out: TextIO) -> int:
    """Write a line of headings and one per row; return how many. Unknown stays empty.

    A text stays in its cell and in its line: what does not print is an escape, and what would begin
    a formula follows an apostrophe.
    """
    out.write(",".join(column.name for column in extract.columns) + "\n")
    cells_of = [_cells_of(column) for column in extract.columns]
    count = 0
    for part in extract.parts:
        cells = [make(values) for make, values in zip(cells_of, part, strict=True)]
        if len(cells) == 1:  # an empty line would be none
            cells = [[each or '""' for each in cells[0]]]
        out.write("\n".join(map(",".join, zip(*cells, strict=True))) + "\n")
        count += len(part[0])
    return count


def _cells_of(column: Column) -> Cells:
    if column.type is float and column.decimals is not None:
        return _Decimals(column).cells
    if column.type in (int, float):
        return lambda values: ["" if each is None else repr(each) for each in values]
    if column.type is datetime:
        return lambda values: [each or "" for each in iso_times(values)]
    return _texts


class _Decimals(dict[int, str]):
    """The texts of numbers by what they are times a power of ten: looked up, not made anew."""

    def __init__(self, column: Column) -> None:
        self._column = column
        self._scale = 10.0 ** (column.decimals or 0)

    def __missing__(self, scaled: int) -> str:
        text = repr(scaled / self._scale)
        if len(self) < _MOST_NUMBERS:
            self[scaled] = text
        return text

    def cells(self, values: Sequence[float | None]) -> Sequence[str]:
        """Return a cell for each number."""
        scale = self._scale
        try:
            return ["" if each is None else self[round(each * scale)] for each in values]
        except (OverflowError, ValueError):  # no number
            return ["" if each is None else repr(each) for each in rounded(self._column, values)]


def _texts(values: Sequence[str | None]) -> Sequence[str]:
    # Nearly all are plain: some looks at the whole column are cheaper than some at each value.
    texts = [each or "" for each in values]
    whole = "".join(texts)
    begins = {each[:1] for each in texts}
    if whole.isprintable() and "," not in whole and '"' not in whole and not begins & _FORMULA:
        return texts
    cells = {each: _cell(each) for each in set(texts)}
    return [cells[each] for each in texts]


def _cell(value: str) -> str:
    text = visible(value)
    text = f"'{text}" if text[:1] in _FORMULA else text
    if "," in text or '"' in text:
        return '"' + text.replace('"', '""') + '"'
    return text
