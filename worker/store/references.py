"""What scanners' own reports say, beside the results and never in their place."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import Text, bindparam, select

from worker.reference import AgeSource, Derivation, Reference
from worker.store.session import Database
from worker.store.tables import ReferenceRow

_AT_ONCE = 500
"""Studies in one question: SQLite takes no more than some thousand values."""


@dataclass(frozen=True, slots=True)
class NewReference:
    """What one report says of one fetus of a study; ``source``: the report's path."""

    source: str
    sop_instance_uid: str | None
    study_instance_uid: str
    reference: Reference


def insert_references(database: Database, batch_id: str, found: Sequence[NewReference]) -> None:
    """Keep what the batch does not hold yet."""
    if not found:
        return
    rows = [
        asdict(new.reference)
        | {
            "batch_id": batch_id,
            "source": new.source,
            "sop_instance_uid": new.sop_instance_uid,
            "study_instance_uid": new.study_instance_uid,
            "fetus": new.reference.fetus or "",
        }
        for new in found
    ]
    with database.writing() as connection:
        connection.execute(database.insert_new(ReferenceRow), rows)


_OF_STUDIES = (
    select(ReferenceRow.__table__)
    .where(ReferenceRow.study_instance_uid.in_(bindparam("studies", type_=Text, expanding=True)))
    .order_by(ReferenceRow.id)
)


def references_of(
    database: Database, studies: Collection[str]
) -> dict[str, dict[str | None, Reference]]:
    """Return what reports say of these studies, by study and fetus.

    Where several reports of a study speak of a fetus, the one that came last counts.
    """
    found: dict[str, dict[str | None, Reference]] = {}
    for part in _parts(sorted(studies)):
        with database.reading() as connection:
            for row in connection.execute(_OF_STUDIES, {"studies": part}):
                of_study = found.setdefault(row.study_instance_uid, {})
                of_study[row.fetus or None] = Reference(
                    fetus=row.fetus or None,
                    hc_mm=row.hc_mm,
                    bpd_mm=row.bpd_mm,
                    ofd_mm=row.ofd_mm,
                    ga_weeks=row.ga_weeks,
                    ga_source=AgeSource(row.ga_source) if row.ga_source else None,
                    hc_where=row.hc_where,
                    derivation=Derivation(row.derivation) if row.derivation else None,
                    instances=row.instances,
                    image_uids=row.image_uids,
                )
    return found


def studies_with_references(database: Database) -> set[str]:
    """Return the studies that reports speak of."""
    with database.reading() as connection:
        return set(connection.scalars(select(ReferenceRow.study_instance_uid).distinct()))


def _parts(studies: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(studies), _AT_ONCE):
        yield studies[start : start + _AT_ONCE]
