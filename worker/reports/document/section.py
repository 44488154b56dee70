"""The parts of a report: texts, tables, plots and pictures below one title."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

NONE = "-"
WORDS = ("status", "what it means", "what to do", "standard", "group", "reason", "name")
"""Headings of columns that hold words; the others hold numbers, and stand to the right."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing, and what it shows."""

    svg: Markup
    caption: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells below headings; the first cell of a row names it."""

    caption: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A small picture with its words; ``problem`` where there is none."""

    heading: str
    status: str
    text: str
    address: str | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a report."""

    title: str
    texts: Sequence[str] = ()
    plots: Sequence[Plot] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()

    @property
    def name(self) -> str:
        """Its title as an address within the page."""
        return self.title.lower().replace(" ", "-")


def fixed(value: float | None, digits: int = 1) -> str:
    """Return a number for people; a dash where unknown."""
    return NONE if value is None else f"{value:.{digits}f}"
