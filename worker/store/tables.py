"""The ledger's tables, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from worker.result import Status
from worker.store.clock import UtcDateTime, now

# Only INTEGER PRIMARY KEY counts up by itself on SQLite.
Id = BigInteger().with_variant(Integer(), "sqlite")
Key = Annotated[int, mapped_column(Id, primary_key=True)]
ScanId = Annotated[int, mapped_column(Id, ForeignKey("scans.id"))]
BatchId = Annotated[str, mapped_column(ForeignKey("batches.id"))]
Stamp = Annotated[datetime, mapped_column(server_default=now())]


class Base(DeclarativeBase):
    """What all tables share."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {str: Text(), datetime: UtcDateTime()}  # noqa: RUF012


class BatchRow(Base):
    """What one command, or one watched folder, asked for.

    ``request_key`` tells the same request again, ``intake_done_at`` that all its files are in.
    """

    __tablename__ = "batches"
    __table_args__ = (CheckConstraint("kind in ('run', 'submit', 'watch')", name="kind"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    kind: Mapped[str]
    request_key: Mapped[str] = mapped_column(index=True)
    label: Mapped[str]
    created_at: Mapped[Stamp]
    intake_done_at: Mapped[datetime | None]


class ScanRow(Base):
    """One frame of one file, and where it stands.

    ``version`` tells apart the contents that a path had over time (watched folders); ``changed_at``
    is when the present state began; ``model`` picks the reported result.
    """

    __tablename__ = "scans"
    __table_args__ = (
        UniqueConstraint("batch_id", "source", "frame", "version"),
        CheckConstraint(f"state in ({', '.join(repr(s.value) for s in Status)})", name="state"),
        Index(None, "state", "published_at"),
        Index(None, "state", "lease_until"),
        Index(None, "batch_id", "state", "changed_at"),
    )

    id: Mapped[Key]
    batch_id: Mapped[BatchId]
    source: Mapped[str]
    frame: Mapped[int]
    version: Mapped[str]
    manual_row_mm: Mapped[float | None]
    manual_column_mm: Mapped[float | None]
    state: Mapped[str] = mapped_column(server_default=Status.QUEUED.value)
    code: Mapped[str | None]
    message: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    owner: Mapped[str | None] = mapped_column(index=True)
    lease_until: Mapped[datetime | None]
    queued_at: Mapped[Stamp]
    published_at: Mapped[datetime | None]
    changed_at: Mapped[Stamp]
    sha256: Mapped[str | None]
    model: Mapped[str | None]
    duplicate_of: Mapped[int | None] = mapped_column(Id, ForeignKey("scans.id"))


class ResultRow(Base):
    """What one model said of one scan.

    ``content_key`` (content, frame and manual pixel size) is set where an HC was measured: its
    uniqueness is what lets only one of two equal files be measured, whoever comes first.
    """

    __tablename__ = "results"
    __table_args__ = (
        UniqueConstraint("scan_id", "model"),
        UniqueConstraint("content_key", "model"),
    )

    id: Mapped[Key]
    scan_id: Mapped[ScanId]
    content_key: Mapped[str | None]
    measured_at: Mapped[Stamp]
    status: Mapped[str]
    model: Mapped[str]
    code: Mapped[str | None]
    message: Mapped[str | None]
    hc_mm: Mapped[float | None]
    hc_low_mm: Mapped[float | None]
    hc_high_mm: Mapped[float | None]
    bpd_mm: Mapped[float | None]
    ofd_mm: Mapped[float | None]
    ga_weeks: Mapped[float | None]
    ga_formula: Mapped[str | None]
    row_mm: Mapped[float | None]
    column_mm: Mapped[float | None]
    spacing_source: Mapped[str | None]
    region_index: Mapped[int | None]
    region_box: Mapped[str | None]
    delta_x_cm: Mapped[float | None]
    delta_y_cm: Mapped[float | None]
    center_x_px: Mapped[float | None]
    center_y_px: Mapped[float | None]
    semi_axis_a_px: Mapped[float | None]
    semi_axis_b_px: Mapped[float | None]
    angle_rad: Mapped[float | None]
    confidence: Mapped[float | None]
    flags: Mapped[str]
    decoder: Mapped[str | None]
    rows: Mapped[int | None]
    columns: Mapped[int | None]
    sop_instance_uid: Mapped[str | None]
    study_instance_uid: Mapped[str | None]
    sha256: Mapped[str | None]


class AttemptRow(Base):
    """History of a scan's attempts: rows are added, never changed."""

    __tablename__ = "attempts"

    id: Mapped[Key]
    scan_id: Mapped[ScanId] = mapped_column(index=True)
    number: Mapped[int]
    event: Mapped[str]
    owner: Mapped[str | None]
    code: Mapped[str | None]
    at: Mapped[Stamp]


class SkippedFileRow(Base):
    """A file of a batch that is no scan, and why."""

    __tablename__ = "skipped_files"
    __table_args__ = (UniqueConstraint("batch_id", "source"),)

    id: Mapped[Key]
    batch_id: Mapped[BatchId]
    source: Mapped[str]
    code: Mapped[str]
    reason: Mapped[str]
