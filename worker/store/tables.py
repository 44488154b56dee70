"""The ledger's tables, the same on SQLite and PostgreSQL.

What a column means stands with it (``doc``), or with the reported row where that has a column of
its name; docs/columns.md prints both.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator, TypeEngine

from worker.columns import columns_of
from worker.result import Result, Status
from worker.store.clock import UtcDateTime, now

# Only INTEGER PRIMARY KEY counts up by itself on SQLite.
Id = BigInteger().with_variant(Integer(), "sqlite")
Key = Annotated[int, mapped_column(Id, primary_key=True, doc="counts up")]
ScanId = Annotated[int, mapped_column(Id, ForeignKey("scans.id"), doc="the scan")]
BatchId = Annotated[str, mapped_column(ForeignKey("batches.id"), doc="the batch")]
Stamp = Annotated[datetime, mapped_column(server_default=now())]


class Words(TypeDecorator[tuple[str, ...]]):
    """Words in one text, apart by spaces; NULL reads as none."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str:
        """Return the words as one text."""
        return " ".join(value or ())

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...]:
        """Return the text's words."""
        return tuple((value or "").split())


_STORED_AS: dict[type, TypeEngine[Any]] = {
    Status: Text(),
    str: Text(),
    int: Integer(),
    float: Double(),
    date: Date(),
    tuple: Words(),
}


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


OF_KNOWN = {"of known": True}
"""Of an index: it holds the rows alone that have a value of its first column.

A note, as the databases' own word for that would load both their dialects with every command.
"""
_COPIED = "copy of the reported result's, where filters look: its"


class BatchRow(Base):
    """What one command, or one watched folder, asked for."""

    __tablename__ = "batches"
    __table_args__ = (CheckConstraint("kind in ('run', 'submit', 'watch')", name="kind"),)

    id: Mapped[str] = mapped_column(primary_key=True, doc="the batch's name")
    kind: Mapped[str] = mapped_column(doc="run, submit or watch")
    request_key: Mapped[str] = mapped_column(index=True, doc="the same for the same request")
    label: Mapped[str] = mapped_column(doc="the paths that were given")
    created_at: Mapped[Stamp] = mapped_column(doc="when it was asked for")
    intake_done_at: Mapped[datetime | None] = mapped_column(doc="when all its files were in")


class ScanRow(Base):
    """One frame of one file, and where it stands; ``model`` picks the reported result.

    What filters ask of that result stands here too, and is written with the state.
    """

    __tablename__ = "scans"
    __table_args__ = (
        UniqueConstraint("batch_id", "source", "frame", "version"),
        CheckConstraint(f"state in ({', '.join(repr(s.value) for s in Status)})", name="state"),
        Index(None, "state", "id", "source"),
        Index(None, "state", "published_at"),
        Index(None, "state", "lease_until"),
        Index(None, "batch_id", "state", "changed_at"),
        Index(None, "batch_id", "id"),
        Index(None, "changed_at"),
        Index(None, "source", "frame", "id"),
        Index(None, "duplicate_of"),
        *(Index(None, name, info=OF_KNOWN) for name in ("code", "model", "hc_mm", "flags")),
        Index(None, "plane", "changed_at", info=OF_KNOWN),
    )

    id: Mapped[Key]
    batch_id: Mapped[BatchId]
    source: Mapped[str]
    frame: Mapped[int]
    version: Mapped[str] = mapped_column(doc="tells contents of one path apart, where watched")
    manual_row_mm: Mapped[float | None] = mapped_column(doc="height of a pixel, by a person")
    manual_column_mm: Mapped[float | None] = mapped_column(doc="width of a pixel, by a person")
    any_plane: Mapped[bool] = mapped_column(
        server_default=false(), doc="whether a person vouches for head and plane"
    )
    state: Mapped[str] = mapped_column(
        server_default=Status.QUEUED.value, doc="the row's status; see docs/ledger.md"
    )
    code: Mapped[str | None]
    message: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    owner: Mapped[str | None] = mapped_column(index=True, doc="who works on it")
    lease_until: Mapped[datetime | None] = mapped_column(doc="when others may take it")
    queued_at: Mapped[Stamp] = mapped_column(doc="when it last became queued by a person")
    published_at: Mapped[datetime | None] = mapped_column(doc="when its message was sent")
    changed_at: Mapped[Stamp] = mapped_column(doc="when its present state began")
    sha256: Mapped[str | None]
    model: Mapped[str | None]
    duplicate_of: Mapped[int | None] = mapped_column(Id, ForeignKey("scans.id"))
    hc_mm: Mapped[float | None] = mapped_column(Double, doc=f"{_COPIED} HC")
    plane: Mapped[str | None] = mapped_column(doc=f"{_COPIED} plane")
    flags: Mapped[str | None] = mapped_column(doc=f"{_COPIED} flags, apart by spaces")


class ResultRow(Base):
    """What one model said of one scan: the columns of ``Result``, and these.

    ``content_key`` is set where an HC was measured: its uniqueness is what lets only one of two
    equal files be measured, whoever comes first.
    """

    __tablename__ = "results"
    __table_args__ = (
        *(
            Column(column.name, _STORED_AS[column.type], nullable=column.optional)
            for column in columns_of(Result)
        ),
        Index("ix_results_study_instance_uid", "study_instance_uid"),
        Index("ix_results_sop_instance_uid", "sop_instance_uid"),
        Index("ix_results_measured_at", "measured_at"),
        UniqueConstraint("scan_id", "model"),
        UniqueConstraint("content_key", "model"),
    )

    id: Mapped[Key]
    scan_id: Mapped[ScanId]
    content_key: Mapped[str | None] = mapped_column(
        doc="content, frame and what a person said, where an HC was measured"
    )
    measured_at: Mapped[Stamp]


class AttemptRow(Base):
    """History of a scan's attempts: rows are added, never changed."""

    __tablename__ = "attempts"

    id: Mapped[Key]
    scan_id: Mapped[ScanId] = mapped_column(index=True)
    number: Mapped[int] = mapped_column(doc="of the attempt, from 1")
    event: Mapped[str] = mapped_column(doc="what happened; see docs/ledger.md")
    owner: Mapped[str | None] = mapped_column(doc="who worked on it")
    code: Mapped[str | None] = mapped_column(doc="how it ended, or why it was lost")
    at: Mapped[Stamp] = mapped_column(doc="when it happened")


class ReviewRow(Base):
    """What a person said of a measurement: rows are added, never changed, and the result stays."""

    __tablename__ = "reviews"
    __table_args__ = (
        CheckConstraint("verdict in ('accepted', 'rejected', 'corrected')", name="verdict"),
    )

    id: Mapped[Key]
    scan_id: Mapped[ScanId] = mapped_column(index=True)
    request_key: Mapped[str] = mapped_column(
        unique=True, doc="of the form: sent twice, stored once"
    )
    reviewer: Mapped[str] = mapped_column(doc="who looked")
    verdict: Mapped[str] = mapped_column(doc="accepted, rejected or corrected")
    reason: Mapped[str | None] = mapped_column(doc="why it was rejected, in one of a few words")
    model: Mapped[str]
    center_x_px: Mapped[float | None] = mapped_column(
        doc="of the person's ellipse, where corrected"
    )
    center_y_px: Mapped[float | None]
    semi_axis_a_px: Mapped[float | None]
    semi_axis_b_px: Mapped[float | None]
    angle_rad: Mapped[float | None]
    hc_mm: Mapped[float | None]
    bpd_mm: Mapped[float | None]
    ofd_mm: Mapped[float | None]
    at: Mapped[Stamp] = mapped_column(doc="when it was said")


class ReferenceRow(Base):
    """What a scanner's own report says of one fetus: to compare with, never a result."""

    __tablename__ = "reference_values"
    __table_args__ = (UniqueConstraint("batch_id", "source", "fetus"),)

    id: Mapped[Key]
    batch_id: Mapped[BatchId]
    source: Mapped[str] = mapped_column(doc="the report's path")
    sop_instance_uid: Mapped[str | None] = mapped_column(doc="the report's own UID")
    study_instance_uid: Mapped[str] = mapped_column(index=True, doc="the UID of its study")
    fetus: Mapped[str] = mapped_column(doc="a letter or number, empty where it is the only one")
    hc_mm: Mapped[float | None] = mapped_column(doc="the report's head circumference")
    bpd_mm: Mapped[float | None] = mapped_column(doc="the report's biparietal diameter")
    ofd_mm: Mapped[float | None] = mapped_column(doc="the report's occipitofrontal diameter")
    ga_weeks: Mapped[float | None] = mapped_column(doc="age in weeks, not from this ultrasound")
    ga_source: Mapped[str | None] = mapped_column(doc="what the age rests on: edd, lmp, ovulation")
    hc_where: Mapped[str | None] = mapped_column(doc="the report's headings down to its HC")
    derivation: Mapped[str | None] = mapped_column(doc="chosen, mean, single or mean-of-instances")
    instances: Mapped[int] = mapped_column(doc="how many HC of this fetus the report holds")
    image_uids: Mapped[tuple[str, ...]] = mapped_column(Words, doc="the images that its HC names")


class DeliveryRow(Base):
    """An object on its way to an archive: of a scan, or of the study whose last scan it is."""

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint("state in ('queued', 'sent', 'refused')", name="state"),
        UniqueConstraint("destination", "form", "scan_id"),
        Index(None, "destination", "state", "due_at"),
    )

    id: Mapped[Key]
    destination: Mapped[str] = mapped_column(doc="its name in the file of destinations")
    form: Mapped[str] = mapped_column(doc="the kind of object; see docs/hospital.md")
    scan_id: Mapped[ScanId]
    state: Mapped[str] = mapped_column(server_default="queued", doc="queued, sent or refused")
    code: Mapped[str | None] = mapped_column(doc="why it was refused, or not sent at the last try")
    message: Mapped[str | None] = mapped_column(doc="the same in words")
    object_uid: Mapped[str | None] = mapped_column(doc="the object's own UID, once it was made")
    attempts: Mapped[int] = mapped_column(server_default="0", doc="how often it was tried")
    owner: Mapped[str | None] = mapped_column(doc="who sends it")
    due_at: Mapped[Stamp] = mapped_column(doc="when it is to be tried, or freed of its owner")
    queued_at: Mapped[Stamp] = mapped_column(doc="when it was asked for")
    changed_at: Mapped[Stamp] = mapped_column(doc="when its present state began")
    committed_at: Mapped[datetime | None] = mapped_column(doc="when the archive vouched for it")


class SkippedFileRow(Base):
    """A file of a batch that is no scan, and why."""

    __tablename__ = "skipped_files"
    __table_args__ = (UniqueConstraint("batch_id", "source"),)

    id: Mapped[Key]
    batch_id: Mapped[BatchId]
    source: Mapped[str] = mapped_column(doc="the file's path")
    code: Mapped[str] = mapped_column(doc="what kind of file it is")
    reason: Mapped[str] = mapped_column(doc="the same in words")


RESULT_COLUMNS = ResultRow.__table__.columns
"""The columns of ``results`` by name, those of ``Result`` among them."""

VIEWS = {
    "v_results": "the rows of an export: a scan, where it stands, what was measured",
    "v_latest": "of each file and frame the newest row of v_results",
}
"""Views over the tables, made in ``worker.store.views``, each with its meaning."""
