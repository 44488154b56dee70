"""Rows and counts as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from worker.result import Status

if TYPE_CHECKING:
    from worker.store.rows import ReportRow

STYLES = {
    Status.MEASURED: "green",
    Status.FLAGGED: "yellow",
    Status.REJECTED: "magenta",
    Status.FAILED: "red",
}


def rows_table(rows: Iterable[ReportRow]) -> Table:
    """Return a table of the columns that fit a terminal; CSV and JSON have them all."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("source", overflow="fold")
    for heading in ("frame", "status", "HC mm", "± mm", "BPD mm", "OFD mm", "GA weeks", "conf."):
        table.add_column(heading, justify="left" if heading == "status" else "right", no_wrap=True)
    table.add_column("code or flags", overflow="fold")
    for row in rows:
        status = Status(row.status)
        table.add_row(
            row.source,
            f"{row.frame}",
            Text(status, STYLES.get(status, "")),
            number(row.sizes.hc_mm),
            number(_half_width_mm(row)),
            number(row.sizes.bpd_mm),
            number(row.sizes.ofd_mm),
            number(row.sizes.ga_weeks),
            number(row.ellipse.confidence, 2),
            row.code or " ".join(row.ellipse.flags),
        )
    return table


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
