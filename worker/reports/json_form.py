"""Rows as one JSON array, or as one JSON object a line; in ASCII, so that no name can be more."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TextIO

from worker.reports.record import Record


def write_json(records: Iterable[Record], out: TextIO) -> int:
    """Write an array of objects; return how many. Unknown is null."""
    out.write("[")
    count = 0
    for record in records:
        out.write(",\n" if count else "\n")
        out.write(json.dumps(record))
        count += 1
    out.write("\n]\n")
    return count


def write_json_lines(records: Iterable[Record], out: TextIO) -> int:
    """Write an object per line; return how many. Unknown is null."""
    count = 0
    for record in records:
        out.write(json.dumps(record) + "\n")
        count += 1
    return count
