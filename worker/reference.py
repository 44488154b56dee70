"""What somebody else measured in an exam: read from the scanner's own report, or from a table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Derivation(StrEnum):
    """How a report's one value came about, where it holds several."""

    CHOSEN = "chosen"
    """The report says that it is the value that counts."""
    MEAN = "mean"
    """The report says that it is the mean, or the median, of several."""
    SINGLE = "single"
    """The only one."""
    MEAN_OF_INSTANCES = "mean-of-instances"
    """Several without a word about which counts: their mean, made here."""


class AgeSource(StrEnum):
    """What a gestational age rests on."""

    EDD = "edd"
    LMP = "lmp"
    OVULATION = "ovulation"


@dataclass(frozen=True, slots=True)
class Reference:
    """One fetus of one exam. Unknown is ``None``.

    ``fetus``: a letter or number that tells it from its siblings, ``None`` where it is the only
    one; ``hc_where``: the report's headings down to the value; ``image_uids``: the images that the
    value names. ``ga_weeks`` rests on ``ga_source`` and never on this exam's ultrasound.
    """

    fetus: str | None = None
    hc_mm: float | None = None
    bpd_mm: float | None = None
    ofd_mm: float | None = None
    ga_weeks: float | None = None
    ga_source: AgeSource | None = None
    hc_where: str | None = None
    derivation: Derivation | None = None
    instances: int = 0
    image_uids: tuple[str, ...] = ()


class NoReference(StrEnum):
    """Why nothing is taken from a report."""

    NO_HC = "no-hc"
    FETUSES_UNNAMED = "fetuses-unnamed"
    CONTRADICTION = "contradiction"
    UNIT_UNKNOWN = "unit-unknown"
    OWN = "own"


NO_REFERENCE = {
    NoReference.NO_HC: "no head circumference in it",
    NoReference.FETUSES_UNNAMED: "several fetuses and nothing that tells whose values they are; "
    "give them with --reference",
    NoReference.CONTRADICTION: "it holds several head circumferences that count, and they differ; "
    "give the right one with --reference",
    NoReference.UNIT_UNKNOWN: "its head circumference is neither in cm nor in mm",
    NoReference.OWN: "this product made it, and its own values are no other's to compare with",
}
"""What a person is told, by the word."""


@dataclass(frozen=True, slots=True)
class ExamReport:
    """What a structured report says of heads; ``problem`` where it says nothing that counts."""

    study_instance_uid: str | None
    sop_instance_uid: str | None
    references: tuple[Reference, ...] = ()
    problem: NoReference | None = None
