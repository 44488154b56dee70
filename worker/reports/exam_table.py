"""What people know of exams and give in a table: HC by somebody else, and gestational ages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from worker.errors import AgesInvalid, ReferenceInvalid
from worker.exam import Pseudonyms
from worker.user_table import Line, UserTable, name_in_table, names_of, path_of_stored

_KEYS: dict[str, tuple[str, ...]] = {
    "file": ("filename", "file", "path"),
    "study": ("study_instance_uid", "study"),
    "accession": ("accession_number", "accession"),
}
"""Headings of what a row is about; the most exact one that a row fills counts."""
_HC_MM = ("hc_mm", "hc (mm)", "head circumference (mm)")
_HC_CM = ("hc_cm", "hc (cm)", "head circumference (cm)")
_WEEKS = ("ga_weeks", "weeks", "gestational age (weeks)")
_DUE = ("due_date", "edd", "date_of_delivery")
_FETUS = "fetus"
_HC_RANGE_MM = (20.0, 500.0)
_AGE_RANGE_WEEKS = (4.0, 45.0)
_WEEKS_AND_DAYS = re.compile(r"(\d{1,2})\s*(?:\+|w(?:eeks?)?)\s*([0-6])\s*(?:d(?:ays?)?)?", re.I)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a table; unknown is ``None``. ``due``: the date of delivery."""

    line: int
    hc_mm: float | None = None
    ga_weeks: float | None = None
    due: date | None = None

    def weeks_at(self, study_date: str | None) -> float | None:
        """Return the age at an exam of this day: 40 weeks at the date of delivery."""
        if self.ga_weeks is not None:
            return self.ga_weeks
        if self.due is None or study_date is None:
            return None
        return 40 - (self.due - date.fromisoformat(study_date)).days / 7


Entries = Mapping[str | None, Entry]
"""By fetus; ``None`` where the table names none."""


@dataclass(frozen=True, slots=True)
class ExamTable:
    """Entries by file, study or accession number.

    ``used``: lines that met an exam so far; ``undated``: those that told a date of delivery for an
    exam whose day is unknown.
    """

    entries: dict[tuple[str, str], dict[str | None, Entry]] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)
    undated: set[int] = field(default_factory=set)

    @property
    def total(self) -> int:
        """Rows of the table."""
        return sum(map(len, self.entries.values()))

    def of_file(self, source: str) -> Entries:
        """Return what is said of a file by its name in the ledger."""
        if any(kind == "file" for kind, _ in self.entries):
            for name in names_of(path_of_stored(source)):
                if found := self._met(("file", name)):
                    return found
        return {}

    def of_exam(self, study: str | None, accession_number: str | None) -> Entries:
        """Return what is said of a study, by UID or by accession number as rows hold it."""
        for key in (("study", study), ("accession", accession_number)):
            if key[1] is not None and (found := self._met((key[0], key[1]))):
                return found
        return {}

    def _met(self, key: tuple[str, str]) -> Entries:
        found = self.entries.get(key, {})
        self.used.update(entry.line for entry in found.values())
        return found


def read_references(path: Path, pseudonyms: Pseudonyms) -> ExamTable:
    """Read HC by somebody else, in mm or cm. Raises ``ReferenceInvalid``, with the line."""
    table = UserTable(path, ReferenceInvalid)
    in_mm, in_cm = _first(table, _HC_MM), _first(table, _HC_CM)
    if in_mm is None and in_cm is None:
        raise table.unfit()
    weeks = _first(table, _WEEKS)

    def entry(line: Line) -> Entry | None:
        text, per_unit = (line.cells[in_mm], 1) if in_mm else (line.cells[in_cm or ""], 10)
        if not text.strip():
            return None
        hc_mm = per_unit * _number(text)
        if not _HC_RANGE_MM[0] <= hc_mm <= _HC_RANGE_MM[1]:
            raise ValueError(f"an HC of {hc_mm:g} mm; is it in another unit?")
        said = line.cells[weeks].strip() if weeks else ""
        return Entry(line.number, hc_mm, weeks_of(said) if said else None)

    return _read(table, entry, pseudonyms)


def read_ages(path: Path, pseudonyms: Pseudonyms) -> ExamTable:
    """Read ages in weeks, or dates of delivery. Raises ``AgesInvalid``, with the line."""
    table = UserTable(path, AgesInvalid)
    weeks, due = _first(table, _WEEKS), _first(table, _DUE)
    if weeks is None and due is None:
        raise table.unfit()

    def entry(line: Line) -> Entry | None:
        if weeks is not None and line.cells[weeks].strip():
            return Entry(line.number, ga_weeks=weeks_of(line.cells[weeks]))
        if due is not None and line.cells[due].strip():
            return Entry(line.number, due=date.fromisoformat(line.cells[due].strip()))
        return None

    return _read(table, entry, pseudonyms)


def weeks_of(text: str) -> float:
    """Return weeks from ``20.4``, ``20,4``, ``20+3`` or ``20w3d``; raises ``ValueError``."""
    parts = _WEEKS_AND_DAYS.fullmatch(text.strip())
    weeks = int(parts[1]) + int(parts[2]) / 7 if parts else _number(text)
    if not _AGE_RANGE_WEEKS[0] <= weeks <= _AGE_RANGE_WEEKS[1]:
        raise ValueError(f"an age of {weeks:g} weeks; are they days?")
    return weeks


def _read(
    table: UserTable, entry: Callable[[Line], Entry | None], pseudonyms: Pseudonyms
) -> ExamTable:
    keys = {kind: _first(table, names) for kind, names in _KEYS.items()}
    if not any(keys.values()):
        raise table.unfit()
    found = ExamTable()
    for line in table.lines():
        key = _key_of(line, keys, pseudonyms)
        try:
            value = entry(line)
        except ValueError as error:
            raise table.refused(line.number, error) from error
        if key is None or value is None:
            continue
        fetus = line.cells.get(_FETUS, "").strip() or None
        if found.entries.setdefault(key, {}).setdefault(fetus, value) is not value:
            raise table.refused(line.number, "the same exam and fetus stand there twice")
    return found


def _key_of(
    line: Line, keys: Mapping[str, str | None], pseudonyms: Pseudonyms
) -> tuple[str, str] | None:
    for kind, column in keys.items():
        cell = line.cells[column].strip() if column else ""
        if not cell:
            continue
        if kind == "accession":
            return kind, pseudonyms.of(cell) or cell
        return kind, name_in_table(cell) if kind == "file" else cell
    return None


def _first(table: UserTable, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in table.columns), None)


def _number(text: str) -> float:
    """Return a number that may have a decimal comma; raises ``ValueError``."""
    number = float(text.strip().replace(",", "."))
    if not abs(number) < 1e9:
        raise ValueError("no number")
    return number
