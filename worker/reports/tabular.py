"""Rows as CSV, JSON or JSON lines, streamed."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from typing import TextIO

from worker.store.rows import COLUMNS, Row

NOTICE = "research use only, not a medical device"
NOTICE_COLUMN = "notice"


def write_rows(rows: Iterable[Row], format_name: str, out: TextIO) -> int:
    """Writes ``csv``, ``json`` or ``jsonl``; returns how many rows. Unknown stays empty or null."""
    counted = _Counted(rows)
    {"csv": _write_csv, "json": _write_json, "jsonl": _write_jsonl}[format_name](counted, out)
    return counted.count


class _Counted:
    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = rows
        self.count = 0

    def __iter__(self) -> Iterator[dict[str, object]]:
        for row in self._rows:
            self.count += 1
            fields = asdict(row)
            fields["measured_at"] = _stamp(row.measured_at)
            yield {**fields, NOTICE_COLUMN: NOTICE}


def _stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")


def _write_csv(rows: Iterable[dict[str, object]], out: TextIO) -> None:
    writer = csv.DictWriter(out, [*COLUMNS, NOTICE_COLUMN], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({**row, "flags": " ".join(row["flags"])})  # type: ignore[arg-type]


def _write_json(rows: Iterable[dict[str, object]], out: TextIO) -> None:
    out.write("[")
    for number, row in enumerate(rows):
        out.write(",\n" if number else "\n")
        out.write(json.dumps(row, ensure_ascii=False))
    out.write("\n]\n")


def _write_jsonl(rows: Iterable[dict[str, object]], out: TextIO) -> None:
    for row in rows:
        out.write(json.dumps(row, ensure_ascii=False) + "\n")
