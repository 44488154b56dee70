"""Options of commands that set HC beside what others know of the exam."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.console import stderr
from hcmodel.growth import Chart

if TYPE_CHECKING:
    from worker.reports.exam_facts import Sources
    from worker.reports.exam_table import ExamTable
    from worker.settings import Settings
    from worker.store.session import Database

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_TABLES = (
    click.option(
        "--reference",
        type=_FILE,
        metavar="FILE.csv",
        help="HC by somebody else: filename, study_instance_uid or accession_number, and hc_mm or "
        "hc_cm. Counts before the scanner's own report.",
    ),
    click.option(
        "--ga",
        type=_FILE,
        metavar="FILE.csv",
        help="Gestational ages known by other means: the same, and ga_weeks (20.4 or 20+3) or "
        "due_date.",
    ),
)
_DEFAULT_CHART = Chart.INTERGROWTH_2014.value
_CHART = click.option(
    "--chart",
    type=click.Choice([chart.value for chart in Chart]),
    default=_DEFAULT_CHART,
    show_default=True,
    help="The chart for centiles.",
)


@dataclass(frozen=True, slots=True)
class ExamTables:
    """What the options name."""

    reference: Path | None
    ages: Path | None
    chart: Chart

    @property
    def are_given(self) -> bool:
        """Whether there is any table."""
        return self.reference is not None or self.ages is not None


@dataclass(frozen=True, slots=True)
class OpenTables:
    """The tables as they were read."""

    references: ExamTable | None
    ages: ExamTable | None
    chart: Chart

    def sources(self, database: Database, studies: set[str]) -> Sources:
        """Return what is known of these studies."""
        from worker.reports.exam_facts import sources_of

        return sources_of(database, studies, self.references, self.ages, self.chart)

    def unused(self) -> list[str]:
        """Return what a person must know of rows that met no exam, when all have been asked for."""
        said = []
        for name, table in (("--reference", self.references), ("--ga", self.ages)):
            if table is None:
                continue
            if len(table.used) < table.total:
                met = f"{len(table.used)} of {table.total}"
                said.append(f"{name}: {met} rows match what was asked for")
            if table.undated:
                said.append(
                    f"{name}: {len(table.undated)} rows tell a date of delivery for files that "
                    "tell no study date; give ga_weeks"
                )
        return said


def exam_options(command: Callable[..., None]) -> Callable[..., None]:
    """Hand the tables and the chart to the command as one ``tables``."""
    return _with_options(command, (*_TABLES, _CHART))


def table_options(command: Callable[..., None]) -> Callable[..., None]:
    """Hand the tables to the command as one ``tables``, where no chart is asked for."""
    return _with_options(command, _TABLES)


def _with_options(
    command: Callable[..., None], options: Sequence[Callable[..., Any]]
) -> Callable[..., None]:
    @functools.wraps(command)
    def wrapped(
        reference: Path | None, ga: Path | None, chart: str = _DEFAULT_CHART, **others: Any
    ) -> None:
        command(tables=ExamTables(reference, ga, Chart(chart)), **others)

    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


def read_tables(given: ExamTables, settings: Settings) -> OpenTables:
    """Read what was given. Raises ``ReferenceInvalid`` and ``AgesInvalid``."""
    from worker.reports.exam_table import read_ages, read_references

    references = given.reference and read_references(given.reference, settings.pseudonyms)
    ages = given.ages and read_ages(given.ages, settings.pseudonyms)
    return OpenTables(references or None, ages or None, given.chart)


def tell_unused(tables: OpenTables) -> None:
    """Name the tables of which rows met nothing."""
    for said in tables.unused():
        stderr.print(said)
