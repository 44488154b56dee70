"""Rows and counts as tables for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from cli.short_paths import shortened
from worker.columns import Column
from worker.plain_text import visible
from worker.result import Status

if TYPE_CHECKING:
    from worker.reports.extract import Extract
    from worker.store.rows import ReportRow

PathShown = Callable[[str, str], str]
"""How a batch's path is shown."""

_LEAST_PATH = 16
_WIDE = 100
"""Cells of a terminal in which BPD and OFD have room beside a path."""

STYLES = {
    Status.MEASURED: "green",
    Status.FLAGGED: "yellow",
    Status.REJECTED: "magenta",
    Status.FAILED: "red",
}


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table: its heading, and what becomes of cells that are too long.

    A path is cut in its middle, ``words`` go on in the next line, everything else stays whole.
    """

    heading: str
    is_right: bool = False
    is_path: bool = False
    is_words: bool = False


@dataclass(frozen=True, slots=True)
class TextTable:
    """A table as lines of text, and how many rows it has."""

    lines: list[Text]
    row_count: int

    def show(self, console: Console) -> None:
        """Print the lines, none of them broken."""
        for line in self.lines:
            console.print(line, soft_wrap=True)


def lay_out(
    columns: Sequence[TableColumn],
    rows: Sequence[Sequence[str]],
    width: int,
    styles: Sequence[str] = (),
    styled: int = 0,
) -> TextTable:
    """Return rows as lines of ``width`` cells; longer ones where whole words need it.

    ``styles``: of each row's cell in the column ``styled``.
    """
    shown = [[visible(cell) for cell in row] for row in rows]
    wide = _widths(columns, shown, width)
    headings = [column.heading for column in columns]
    lines = [_line(columns, headings, wide, "bold")]
    for number, row in enumerate(shown):
        style = styles[number] if styles else ""
        for part in _broken(columns, row, wide):
            lines.append(_line(columns, part, wide, style, styled))
    return TextTable(lines, len(shown))


def _widths(columns: Sequence[TableColumn], rows: Sequence[Sequence[str]], width: int) -> list[int]:
    wide = [
        max(map(cell_len, (column.heading, *(row[place] for row in rows))))
        for place, column in enumerate(columns)
    ]
    least = [
        max(map(cell_len, " ".join((column.heading, *(row[place] for row in rows))).split()))
        if column.is_words
        else min(natural, _LEAST_PATH)
        if column.is_path
        else natural
        for place, (column, natural) in enumerate(zip(columns, wide, strict=True))
    ]
    for kind in ("is_words", "is_path"):
        for place, column in enumerate(columns):
            over = sum(wide) + len(columns) - 1 - width
            if getattr(column, kind) and over > 0:
                wide[place] = max(least[place], wide[place] - over)
    return wide


def _broken(
    columns: Sequence[TableColumn], row: Sequence[str], wide: Sequence[int]
) -> Iterator[list[str]]:
    cells = [
        _words(cell, size) if column.is_words else [shortened(cell, size)]
        for column, cell, size in zip(columns, row, wide, strict=True)
    ]
    yield from map(list, zip_longest(*cells, fillvalue=""))


def _words(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if cell_len(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _line(
    columns: Sequence[TableColumn],
    cells: Sequence[str],
    wide: Sequence[int],
    style: str,
    styled: int | None = None,
) -> Text:
    line = Text()
    for place, (column, cell, size) in enumerate(zip(columns, cells, wide, strict=True)):
        room = " " * (size - cell_len(cell))
        text = room + cell if column.is_right else cell + room
        line.append(text, style if styled in (None, place) else "")
        line.append(" " if place < len(columns) - 1 else "")
    line.rstrip()
    return line


_ROW_COLUMNS: tuple[tuple[TableColumn, Callable[[ReportRow], str]], ...] = (
    (TableColumn("frame", is_right=True), lambda row: f"{row.frame}"),
    (TableColumn("status"), lambda row: row.status),
    (TableColumn("HC mm", is_right=True), lambda row: number(row.sizes.hc_mm)),
    (TableColumn("\u00b1 mm", is_right=True), lambda row: number(_half_width_mm(row))),
    (TableColumn("BPD mm", is_right=True), lambda row: number(row.sizes.bpd_mm)),
    (TableColumn("OFD mm", is_right=True), lambda row: number(row.sizes.ofd_mm)),
    (TableColumn("GA wk", is_right=True), lambda row: number(row.sizes.ga_weeks)),
    (TableColumn("conf.", is_right=True), lambda row: number(row.ellipse.confidence, 2)),
    (
        TableColumn("code or flags", is_words=True),
        lambda row: row.code or " ".join(row.ellipse.flags),
    ),
)
_FOR_WIDE = ("BPD mm", "OFD mm")


def rows_table(rows: Iterable[ReportRow], paths: PathShown, width: int) -> TextTable:
    """Return a table of the columns that fit ``width``; CSV and JSON have them all.

    ``paths``: how a row's path is shown.
    """
    seen = list(rows)
    has_frames = any(row.frame for row in seen)
    chosen = [
        (column, cell)
        for column, cell in _ROW_COLUMNS
        if (column.heading not in _FOR_WIDE or width >= _WIDE)
        and (column.heading != "frame" or has_frames)
    ]
    columns = [TableColumn("file", is_path=True), *(column for column, _ in chosen)]
    cells = [[paths(row.batch, row.source), *(cell(row) for _, cell in chosen)] for row in seen]
    styles = [STYLES.get(Status(row.status), "") for row in seen]
    status = next(place for place, each in enumerate(columns) if each.heading == "status")
    return lay_out(columns, cells, width, styles, status)


def values_table(extract: Extract, paths: PathShown, width: int) -> TextTable:
    """Return a table of the columns that were asked for, with mm to 0.1.

    The last column is ``batch`` and is not shown: it tells what the paths are relative to.
    """
    columns = [
        TableColumn(
            column.name,
            is_right=column.type in (int, float),
            is_path=column.name == "source",
            is_words=column.name in ("flags", "message", "notice"),
        )
        for column in extract.columns[:-1]
    ]
    rows: list[list[str]] = []
    for part in extract.parts:
        for values in zip(*part, strict=True):
            rows.append(
                [
                    paths(values[-1], value) if column.name == "source" else _shown(column, value)
                    for column, value in zip(extract.columns[:-1], values[:-1], strict=True)
                ]
            )
    return lay_out(columns, rows, width)


def _shown(column: Column, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and column.decimals is not None:
        return f"{value:.{column.decimals - 1 if column.decimals < 4 else 4}f}"
    return str(value)[:19] if column.type is datetime else str(value)


def _half_width_mm(row: ReportRow) -> float | None:
    """Return half of HC's 90 % interval."""
    if row.sizes.hc_low_mm is None or row.sizes.hc_high_mm is None:
        return None
    return (row.sizes.hc_high_mm - row.sizes.hc_low_mm) / 2


def counts_line(counts: Mapping[Status, int], skipped: int = 0) -> str:
    """Return ``12 measured, 1 rejected, 2 skipped``: nothing that there is not."""
    parts = [f"{counts[status]} {status}" for status in Status if counts.get(status)]
    parts += [f"{skipped} skipped"] if skipped else []
    return ", ".join(parts) or "nothing yet"


def number(value: float | None, digits: int = 1) -> str:
    """Return a number for people; empty where unknown."""
    return "" if value is None else f"{value:.{digits}f}"


def duration(seconds: float | None) -> str:
    """Return ``42 s``, ``7 min`` or ``3.5 h``; ``unknown time`` where it is."""
    if seconds is None:
        return "unknown time"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
