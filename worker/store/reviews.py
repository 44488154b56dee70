"""What people say of measurements: a second opinion beside the first, which never alters it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import and_, bindparam, select

from worker.columns import assembled
from worker.store.filter import Filter, conditions, scans_with_results
from worker.store.session import Database
from worker.store.tables import RESULT_COLUMNS, Id, ReviewRow, ScanRow


class Verdict(StrEnum):
    """What a person says: it is right, it is wrong, or this is how it should be."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CORRECTED = "corrected"


REASONS = ("not-a-head", "other-plane", "wrong-outline", "wrong-scale", "poor-image")
"""Why a measurement is rejected. No free text: people write names of patients into that."""


@dataclass(frozen=True, slots=True)
class HumanMeasurement:
    """A person's ellipse, in pixels of the original image, and its sizes in mm.

    The sizes are ``None`` where the scale is unknown.
    """

    center_x_px: float
    center_y_px: float
    semi_axis_a_px: float
    semi_axis_b_px: float
    angle_rad: float
    hc_mm: float | None
    bpd_mm: float | None
    ofd_mm: float | None


@dataclass(frozen=True, slots=True)
class Review:
    """One person's word about one result; ``measurement`` where it was corrected."""

    scan_id: int
    reviewer: str
    verdict: Verdict
    model: str
    reason: str | None = None
    measurement: HumanMeasurement | None = None


@dataclass(frozen=True, slots=True)
class StoredReview:
    """A review with when it was said."""

    review: Review
    at: datetime


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A review beside what the instrument says of the same scan."""

    stored: StoredReview
    instrument_hc_mm: float | None


def add_review(database: Database, review: Review, request_key: str) -> bool:
    """Store a review; return whether it is new. The same request is stored once."""
    measured = {} if review.measurement is None else asdict(review.measurement)
    values = {
        "request_key": request_key,
        "scan_id": review.scan_id,
        "reviewer": review.reviewer,
        "verdict": review.verdict.value,
        "model": review.model,
        "reason": review.reason,
        **measured,
    }
    statement = database.insert_new(ReviewRow).values(values).returning(ReviewRow.id)
    with database.writing() as connection:
        return connection.scalar(statement) is not None


_REVIEWS = (
    select(ReviewRow.__table__)
    .where(ReviewRow.scan_id.in_(bindparam("scan_ids", type_=Id, expanding=True)))
    .order_by(ReviewRow.scan_id, ReviewRow.id)
)


def reviews_of(database: Database, scan_ids: Collection[int]) -> dict[int, list[StoredReview]]:
    """Return all reviews of these scans, the oldest first."""
    found: dict[int, list[StoredReview]] = {}
    if not scan_ids:
        return found
    with database.reading() as connection:
        for row in connection.execute(_REVIEWS, {"scan_ids": list(scan_ids)}):
            found.setdefault(row.scan_id, []).append(_stored(row._asdict()))
    return found


def reviewed(database: Database, which: Filter) -> Iterator[Reviewed]:
    """Yield the reviews of these rows beside their results by the same model, the oldest first."""
    instrument = RESULT_COLUMNS["hc_mm"].label("instrument_hc_mm")
    scans = scans_with_results().join(
        ReviewRow.__table__,
        and_(ReviewRow.scan_id == ScanRow.id, ReviewRow.model == ScanRow.model),
    )
    statement = (
        select(*ReviewRow.__table__.columns, instrument)
        .select_from(scans)
        .where(*conditions(which))
        .order_by(ReviewRow.id)
    )
    with database.reading() as connection:
        for row in connection.execute(statement):
            yield Reviewed(_stored(row._asdict()), row.instrument_hc_mm)


def _stored(values: Mapping[str, Any]) -> StoredReview:
    measured = values["center_x_px"] is not None
    measurement = assembled(HumanMeasurement, values) if measured else None
    said = Review(
        scan_id=values["scan_id"],
        reviewer=values["reviewer"],
        verdict=Verdict(values["verdict"]),
        model=values["model"],
        reason=values["reason"],
        measurement=measurement,
    )
    return StoredReview(said, values["at"])
