"""A report as one HTML file: nothing is fetched, and nothing of a file or tag is more than text."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from worker.plain_text import visible
from worker.reports.document.section import WORDS, Picture, Section
from worker.result import Status
from worker.store.rows import ReportRow

COLUMNS = (
    ("scan", "count"),
    ("status", "status"),
    ("HC mm", "mm"),
    ("low mm", "mm"),
    ("high mm", "mm"),
    ("BPD mm", "mm"),
    ("OFD mm", "mm"),
    ("conf.", "share"),
    ("plane", "text"),
    ("code or flags", "note"),
    ("file", "file"),
    ("frame", "count"),
    ("measured", "text"),
)
"""Titles of the table's columns, and how the page writes and sorts them."""
_DIGITS = 2


@dataclass(frozen=True, slots=True)
class Report:
    """All that a page shows; ``left_out``: rows beyond those that the table holds."""

    title: str
    sentence: str
    remarks: Sequence[str]
    sections: Sequence[Section]
    rows: Sequence[ReportRow]
    left_out: int
    gallery: Sequence[Picture]
    gallery_text: str
    made_by: str


def page_of(report: Report) -> str:
    """Return the report as HTML."""
    script, style = (_asset(name) for name in ("report.js", "report.css"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    folder = common_folder([row.source for row in report.rows])
    return (
        _environment()
        .get_template("report.html")
        .render(
            title=report.title,
            sentence=report.sentence,
            remarks=report.remarks,
            sections=report.sections,
            gallery=report.gallery,
            gallery_text=report.gallery_text,
            made_by=report.made_by,
            total=len(report.rows),
            words=WORDS,
            statuses=[status.value for status in Status],
            columns=[title for title, _ in COLUMNS],
            table_text=_table_text(report, folder),
            data=_json(report.rows, folder),
            script=Markup(script),
            style=Markup(style),
            script_hash=Markup(f"sha256-{digest}"),
        )
    )


def common_folder(sources: Sequence[str]) -> str:
    """Return the folder, with its slash, in which all paths lie; empty where there is none."""
    # By letters, not by folders: a path may begin with a root's name.
    shared = os.path.commonprefix(list(sources))  # noqa: RUF071
    return shared[: shared.rfind("/") + 1]


def _table_text(report: Report, folder: str) -> str:
    text = "Those that need a person come first; a heading sorts, once more turns the order."
    if folder:
        text += f" Files lie in {visible(folder)}"
    if report.left_out:
        text += f" {report.left_out} more rows: narrow the report, or use hc-batch results."
    return text


def _json(rows: Iterable[ReportRow], folder: str) -> Markup:
    """Return the table's data as JSON that no text can leave: it holds no angle bracket."""
    data = {
        "columns": [{"title": title, "kind": kind} for title, kind in COLUMNS],
        "rows": [_cells(row, folder) for row in rows],
    }
    text = json.dumps(data, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _cells(row: ReportRow, folder: str) -> list[object]:
    sizes = row.sizes
    return [
        row.scan_id,
        row.status,
        *map(
            _rounded, (sizes.hc_mm, sizes.hc_low_mm, sizes.hc_high_mm, sizes.bpd_mm, sizes.ofd_mm)
        ),
        _rounded(row.ellipse.confidence),
        row.head_plane.plane,
        visible(row.code or " ".join(row.ellipse.flags)),
        visible(row.source.removeprefix(folder)),
        row.frame,
        None if row.measured_at is None else f"{row.measured_at:%Y-%m-%d %H:%M}",
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


def _asset(name: str) -> str:
    return files("worker.reports.document").joinpath("static", name).read_text(encoding="utf-8")


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("worker.reports.document"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )


def _printable(value: object) -> object:
    """Let no text of a file or tag turn or clear the page; what was made here stays."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
