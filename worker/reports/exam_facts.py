"""What is known of a head by others: its HC, its gestational age, and where HC lies on a chart.

An age never comes from the HC that it is compared with: it comes from a table, or from a report
that rests it on a period, an ovulation or a date of delivery.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median

from hcmodel.growth import Chart, Growth, growth
from worker.reference import Reference
from worker.reports.exam_table import Entries, Entry, ExamTable
from worker.reports.studies import Frames, Group, Head, Image, Studies
from worker.store.references import references_of
from worker.store.session import Database

BY_REPORT = "report"
BY_TABLE = "table"


References = Mapping[str, Mapping[str | None, Reference]]
"""What scanners' reports say, by study and fetus."""


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody else's HC and where it comes from, and the age with what it rests on."""

    hc_mm: float | None = None
    hc_source: str | None = None
    ga_weeks: float | None = None
    ga_source: str | None = None


NOTHING = Known()


@dataclass(frozen=True, slots=True)
class Sources:
    """Where facts come from: scanners' reports by study and fetus, and people's tables."""

    reports: References = field(default_factory=dict)
    references: ExamTable | None = None
    ages: ExamTable | None = None
    chart: Chart = Chart.INTERGROWTH_2014

    def of(self, head: Head) -> Known:
        """Return what is known of a head; a table counts before a report."""
        report = self._report_of(head)
        entry = _of_exam(self.references, head)
        hc_mm, hc_source = (report.hc_mm, BY_REPORT) if report else (None, None)
        if entry is not None and entry.hc_mm is not None:
            hc_mm, hc_source = entry.hc_mm, BY_TABLE
        weeks, ga_source = self._age(head, report)
        return Known(hc_mm, hc_source if hc_mm else None, weeks, ga_source)

    def heads(self, studies: Studies) -> Iterator[Head]:
        """Yield the heads of all studies and of files without one, as they were met.

        A study has several where reports or tables name several fetuses; then an image is of the
        one that names it, and of nobody's where none does.
        """
        for group in studies.groups():
            reports = self.reports.get(group.study or "", {})
            owners = dict(self._owners(group, reports))
            names = {*reports, *self._in_tables(group), *owners.values()} - {None}
            if len(names) < 2:
                yield _head(group, next(iter(names), None), False, [*group.images.values()])
                continue
            parts: dict[str | None, list[Image]] = {}
            for key, image in group.images.items():
                parts.setdefault(owners.get(key), []).append(image)
            for fetus, images in parts.items():
                yield _head(group, fetus, True, images)

    def _owners(
        self, group: Group, reports: Mapping[str | None, Reference]
    ) -> Iterator[tuple[str, str]]:
        """Yield whose an image is, by its key in the group, where it is told; tables last."""
        by_uid = {uid: fetus for fetus, each in reports.items() for uid in each.image_uids}
        for key, image in group.images.items():
            fetus = by_uid.get(image.sop_instance_uid or "")
            if fetus is not None:
                yield key, fetus
            for table in (self.ages, self.references):
                entries = table.of_file(image.source) if table is not None else {}
                if len(entries) == 1 and (name := next(iter(entries))) is not None:
                    yield key, name

    def _in_tables(self, group: Group) -> set[str | None]:
        tables = (table for table in (self.ages, self.references) if table is not None)
        return {
            fetus
            for table in tables
            for fetus in table.of_exam(group.study, group.accession_number)
        }

    def growth_of(self, hc_mm: float | None, known: Known) -> Growth | None:
        """Return where an HC lies on the chart; ``None`` where HC or age is unknown."""
        if hc_mm is None or known.ga_weeks is None:
            return None
        return growth(hc_mm, known.ga_weeks, self.chart)

    def images_of(self, head: Head) -> list[Image]:
        """Return the trusted images that the report's HC names, or else all trusted ones."""
        report = self._report_of(head)
        named = set(report.image_uids) if report else set()
        trusted = head.trusted
        return [each for each in trusted if each.sop_instance_uid in named] or trusted

    def by_file(self, head: Head) -> Iterator[tuple[Image, Entry]]:
        """Yield the trusted images whose own HC the table tells."""
        if self.references is None:
            return
        for image in head.trusted:
            entry = _of_fetus(self.references.of_file(image.source), head)
            if entry is not None:
                yield image, entry

    def _report_of(self, head: Head) -> Reference | None:
        return self.reports.get(head.study or "", {}).get(head.fetus)

    def _age(self, head: Head, report: Reference | None) -> tuple[float | None, str | None]:
        for table in (self.ages, self.references):
            entry = _of_exam(table, head) or _of_a_file(table, head)
            weeks = entry.weeks_at(head.study_date) if entry else None
            if weeks is not None:
                return weeks, BY_TABLE
            if table is not None and entry is not None and entry.due is not None:
                table.undated.add(entry.line)
        if report is None or report.ga_weeks is None or report.ga_source is None:
            return None, None
        return report.ga_weeks, report.ga_source.value


def sources_of(
    database: Database,
    studies: Iterable[str],
    references: ExamTable | None = None,
    ages: ExamTable | None = None,
    chart: Chart = Chart.INTERGROWTH_2014,
) -> Sources:
    """Return the sources for these studies, with what their scanners' reports say."""
    return Sources(references_of(database, set(studies)), references, ages, chart)


def median_hc_mm(images: Iterable[Image], frames: Frames = Frames.ALL) -> float:
    """Return the median HC of trusted images."""
    return median([each.repeat(frames).hc_mm for each in images])


def _head(group: Group, fetus: str | None, several: bool, images: list[Image]) -> Head:
    return Head(
        study=group.study,
        fetus=fetus,
        model=group.model,
        several=several,
        accession_number=group.accession_number,
        study_date=group.study_date,
        images=images,
    )


def _of_exam(table: ExamTable | None, head: Head) -> Entry | None:
    if table is None:
        return None
    return _of_fetus(table.of_exam(head.study, head.accession_number), head)


def _of_a_file(table: ExamTable | None, head: Head) -> Entry | None:
    if table is None:
        return None
    entries = (_of_fetus(table.of_file(image.source), head) for image in head.images)
    return next((entry for entry in entries if entry is not None), None)


def _of_fetus(entries: Entries, head: Head) -> Entry | None:
    """Return the entry of the head's fetus; one without a name is anybody's in a single study."""
    if head.fetus in entries:
        return entries[head.fetus]
    if head.several or len(entries) != 1:
        return None
    return next(iter(entries.values()))
