"""Draw the ledger's tables and write what their columns mean into docs/schema.md: ``make picture``.

Both come from the tables themselves. An arrow points from a column to the table whose row it names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Table

from worker.columns import columns_of
from worker.store.rows import ReportRow
from worker.store.tables import Base

ROOT = Path(__file__).parent.parent
PICTURE, PAGE = ROOT / "docs" / "schema.svg", ROOT / "docs" / "schema.md"
BEGIN, END = "<!-- columns -->\n", "<!-- end of columns -->\n"

PLACES = (("batches", "skipped_files", "reference_values"), ("scans", "attempts", "reviews"))
"""Tables of a column of the picture, from above; the others stand on the right."""
WIDTH, LINE, GAP_X, GAP_Y, MARGIN = 250, 17, 70, 26, 16  # in px
FILLS = {"scans": "#fdf1d8", "results": "#e4f4e4", "batches": "#fdf1d8"}
OTHERS = "#e3eefb"

_ROW = {column.name: column for column in columns_of(ReportRow)}
_UNITS = {"mm": "mm", "cm": "cm", "px": "px", "rad": "rad", "weeks": "weeks"}
_TYPES = {
    "DOUBLE": "number",
    "INTEGER": "whole number",
    "BIGINT": "whole number",
    "TEXT": "text",
    "DATE": "day",
    "DATETIME": "time, UTC",
    "BOOLEAN": "yes or no",
}


@dataclass(frozen=True)
class Box:
    """A table in its place: its left upper corner in px."""

    table: Table
    x: int
    y: int

    @property
    def height(self) -> int:
        """In px."""
        return LINE * (len(self.table.columns) + 1) + 12

    def line_y(self, column: str) -> int:
        """Return the middle of a column's line, in px."""
        return self.y + LINE * (list(self.table.columns.keys()).index(column) + 2) - 1


def type_of(column: Column[Any]) -> str:
    """Return a column's type as people say it."""
    return _TYPES[str(column.type).partition("(")[0]]


def unit_of(column: Column[Any]) -> str:
    """Return a column's unit: the row's, or that of its name."""
    if column.name in _ROW:
        return _ROW[column.name].unit
    return _UNITS.get(column.name.rpartition("_")[2], "")


def meaning_of(column: Column[Any]) -> str:
    """Return what a column means: its own words, or the row's."""
    return _ROW[column.name].meaning if column.doc is None else column.doc


def tables() -> str:
    """Return a list of columns for each table, in Markdown."""
    parts = []
    for table in Base.metadata.tables.values():
        lines = [
            f"| `{column.name}` | {type_of(column)} | {unit_of(column)} | {meaning_of(column)} |"
            for column in table.columns
        ]
        head = f"### `{table.name}`\n\n| column | type | unit | means |\n|---|---|---|---|\n"
        parts.append(head + "\n".join(lines) + "\n")
    return "\n".join(parts)


def page() -> str:
    """Return the page with its lists as they should be."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    return f"{before}{BEGIN}\n{tables()}\n{END}{rest.partition(END)[2]}"


def placed() -> dict[str, Box]:
    """Return each table's box."""
    known = Base.metadata.tables
    right = tuple(name for name in known if not any(name in column for column in PLACES))
    boxes = {}
    for number, names in enumerate((*PLACES, right)):
        y = MARGIN
        for name in names:
            boxes[name] = Box(known[name], MARGIN + number * (WIDTH + GAP_X), y)
            y += boxes[name].height + GAP_Y
    return boxes


def picture() -> str:
    """Return the picture as SVG, the same for the same tables."""
    boxes = placed()
    width = max(box.x for box in boxes.values()) + WIDTH + MARGIN
    height = max(box.y + box.height for box in boxes.values()) + MARGIN
    arrows = [
        _arrow(box, key.parent.name, boxes[key.column.table.name])
        for box in boxes.values()
        for key in sorted(box.table.foreign_keys, key=lambda key: key.parent.name)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
            ' font-family="sans-serif" font-size="12.5">',
            "<title>The tables of the ledger, and which rows of others they name</title>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8"'
            ' markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#777"/></marker></defs>',
            '<rect width="100%" height="100%" fill="white"/>',
            *map(_drawn, boxes.values()),
            *arrows,
            "</svg>\n",
        ]
    )


def _arrow(box: Box, column: str, to: Box) -> str:
    y, end = box.line_y(column), to.line_y("id")
    if to.x < box.x:
        start_x, end_x, bow = box.x, to.x + WIDTH, -GAP_X // 2
        curve = f"C{start_x + bow} {y} {end_x - bow} {end} {end_x} {end}"
    elif to.x > box.x:
        start_x, end_x, bow = box.x + WIDTH, to.x, GAP_X // 2
        curve = f"C{start_x + bow} {y} {end_x - bow} {end} {end_x} {end}"
    else:  # round on the outside
        start_x = end_x = box.x + WIDTH
        curve = f"C{start_x + GAP_X} {y} {start_x + GAP_X} {end} {end_x} {end}"
    return f'<path d="M{start_x} {y}{curve}" fill="none" stroke="#777" marker-end="url(#tip)"/>'


def _drawn(box: Box) -> str:
    name, fill = box.table.name, FILLS.get(box.table.name, OTHERS)
    lines = [
        f'<rect x="{box.x}" y="{box.y}" width="{WIDTH}" height="{box.height}" rx="6"'
        f' fill="{fill}" stroke="#555"/>',
        f'<text x="{box.x + 10}" y="{box.y + LINE}" font-weight="bold">{name}</text>',
    ]
    for column in box.table.columns:
        y = box.line_y(column.name) + 4
        weight = "bold" if column.primary_key else "normal"
        lines.append(
            f'<text x="{box.x + 10}" y="{y}" font-weight="{weight}">{column.name}</text>'
            f'<text x="{box.x + WIDTH - 10}" y="{y}" text-anchor="end" fill="#666">'
            f"{type_of(column)}</text>"
        )
    return "".join(lines)


if __name__ == "__main__":
    PICTURE.write_text(picture())
    PAGE.write_text(page())
