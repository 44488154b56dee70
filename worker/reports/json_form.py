"""Rows as one JSON array, or as one JSON object a line; in ASCII, so that no name can be more."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, TextIO

from worker.columns import Column
from worker.reports.extract import Extract, iso_times, rounded


def write_json(extract: Extract, out: TextIO) -> int:
    """Write an array of objects; return how many. Unknown is null."""
    out.write("[")
    count = 0
    for line in _lines(extract):
        out.write(",\n" if count else "\n")
        out.write(line)
        count += 1
    out.write("\n]\n")
    return count


def write_json_lines(extract: Extract, out: TextIO) -> int:
    """Write an object per line; return how many. Unknown is null."""
    count = 0
    for line in _lines(extract):
        out.write(line + "\n")
        count += 1
    return count


def _lines(extract: Extract) -> Iterator[str]:
    names = [column.name for column in extract.columns]
    for part in extract.parts:
        values = [_values(*each) for each in zip(extract.columns, part, strict=True)]
        for row in zip(*values, strict=True):
            yield json.dumps(dict(zip(names, row, strict=True)))


def _values(column: Column, values: Sequence[Any]) -> Sequence[Any]:
    if column.type is datetime:
        return iso_times(values)
    if column.type is tuple:
        return [(each or "").split() for each in values]
    return rounded(column, values)
