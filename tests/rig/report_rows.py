"""Rows as a ledger would tell them, without any ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from worker.exam import NO_EXAM
from worker.result import (
    FileIdentity,
    HeadEllipse,
    HeadPlane,
    HeadSizes,
    PixelOrigin,
    Scale,
    Status,
)
from worker.store.rows import ReportRow

BEGUN = datetime(2026, 3, 1, 8, tzinfo=UTC)


def report_row(
    number: int,
    hc_mm: float | None = 200.0,
    *,
    study: str | None = None,
    half_width_mm: float = 4.0,
    status: Status = Status.MEASURED,
    code: str | None = None,
    flags: tuple[str, ...] = (),
    frame: int = 0,
    sop: str | None = None,
    confidence: float = 0.9,
    model: str = "hc18-x",
    ga_formula: str | None = None,
) -> ReportRow:
    """Return the row of scan ``number``, an image of its own unless ``sop`` names another's."""
    sizes = HeadSizes(ga_formula=ga_formula)
    if hc_mm is not None:
        low_mm, high_mm = hc_mm - half_width_mm, hc_mm + half_width_mm
        sizes = HeadSizes(hc_mm, low_mm, high_mm, hc_mm * 0.28, hc_mm * 0.35, None, ga_formula)
    return ReportRow(
        batch="20260301-080000-abcd",
        source=f"/scans/image-{number:05}.dcm",
        frame=frame,
        status=status.value,
        code=code,
        sizes=sizes,
        scale=Scale(0.1, 0.1, "us-region"),
        ellipse=HeadEllipse(100, 100, 80, 60, 0.1, confidence, flags),
        file=FileIdentity(sop or f"1.2.{number}", study, f"{number:064x}"),
        model=model,
        measured_at=BEGUN + timedelta(seconds=number),
        message=None,
        origin=PixelOrigin("pydicom", 0, "0,0,200,200", 0.01, 0.01, 200, 200),
        duplicate_of=None,
        scan_id=number,
        attempts=1,
        head_plane=HeadPlane("trans-thalamic", 0.97, "gate"),
        exam=NO_EXAM,
    )


def many_rows(count: int) -> Iterator[ReportRow]:
    """Yield rows from 1 on, of which each tenth is refused and each tenth flagged."""
    for number in range(1, count + 1):
        confidence = 0.3 + 0.6 * (number * 7919 % count) / count
        if number % 10 == 0:
            yield report_row(number, None, status=Status.REJECTED, code="no-head")
        elif number % 10 == 1:
            flagged = {"status": Status.FLAGGED, "flags": ("low-confidence",)}
            yield report_row(number, _size_mm(number), confidence=confidence, **flagged)  # type: ignore[arg-type]
        else:
            study = f"1.2.{number // 4}"
            yield report_row(number, _size_mm(number), confidence=confidence, study=study)


def _size_mm(number: int) -> float:
    return 80 + number * 7717 % 2400 / 10
