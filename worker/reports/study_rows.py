"""One row per study and fetus, as tables and exports show it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from worker.columns import Unit
from worker.reports.exam_facts import Sources
from worker.reports.studies import Frames, Head, Studies
from worker.result import Millimetres, Text, Weeks

Deviations = Annotated[float | None, Unit("SD", decimals=2)]
Centile = Annotated[float | None, Unit("0 to 100", decimals=1)]


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One head of one study, measured by one instrument. Unknown is ``None``."""

    study_instance_uid: Annotated[Text, "the UID of the study"]
    fetus: Annotated[Text, "the fetus's letter or number, where a report tells one"]
    hc_mm: Annotated[Millimetres, "median of the trusted images; a loop counts as one"]
    hc_low_mm: Annotated[Millimetres, "lower end of the 90 % interval of that median"]
    hc_high_mm: Annotated[Millimetres, "upper end of the 90 % interval of that median"]
    hc_sd_mm: Annotated[Millimetres, "standard deviation of one image; empty with one"]
    reason: Annotated[Text, "why there is no HC: see docs/studies.md"]
    images: Annotated[int, "images and loops with a trusted measurement"]
    flagged: Annotated[int, "images and loops with measurements that are all flagged"]
    refused: Annotated[int, "images and loops without any measurement"]
    age_weeks: Annotated[Weeks, "gestational age known by other means than this HC"]
    age_source: Annotated[Text, "table, or of the report: edd, lmp, ovulation"]
    growth_z: Annotated[Deviations, "deviations of HC from the chart's mean at that age"]
    growth_centile: Annotated[Centile, "centile of HC at that age, 0 to 100"]
    growth_chart: Annotated[Text, "the chart: intergrowth-2014 or who-2017"]
    growth_reason: Annotated[Text, "why there is no centile though the age is known"]
    reference_hc_mm: Annotated[Millimetres, "the same head's HC by somebody else"]
    reference_source: Annotated[Text, "table, or report for the scanner's own"]
    study_date: Annotated[Text, "the day of the exam"]
    model: Annotated[Text, "name and version of the instrument that measured"]


def study_rows(
    studies: Studies, sources: Sources, frames: Frames = Frames.ALL
) -> Iterator[StudyRow]:
    """Yield a row per study, fetus and instrument; files without a study are left out."""
    for head in sources.heads(studies):
        if head.study is not None:
            yield _row_of(head, sources, frames)


def _row_of(head: Head, sources: Sources, frames: Frames) -> StudyRow:
    reason, found, known = head.reason(), head.hc(frames), sources.of(head)
    hc_mm = found.hc_mm if found else None
    growth = sources.growth_of(hc_mm, known)
    with_hc = sum(each.has_hc for each in head.images)
    trusted = len(head.trusted)
    return StudyRow(
        study_instance_uid=head.study,
        fetus=head.fetus,
        hc_mm=hc_mm,
        hc_low_mm=found.low_mm if found else None,
        hc_high_mm=found.high_mm if found else None,
        hc_sd_mm=found.sd_mm if found else None,
        reason=reason.value if reason else None,
        images=trusted,
        flagged=with_hc - trusted,
        refused=len(head.images) - with_hc,
        age_weeks=known.ga_weeks,
        age_source=known.ga_source,
        growth_z=growth.z if growth else None,
        growth_centile=growth.centile if growth else None,
        growth_chart=growth.chart.value if growth else None,
        growth_reason=growth.reason.value if growth and growth.reason else None,
        reference_hc_mm=known.hc_mm,
        reference_source=known.hc_source,
        study_date=head.study_date,
        model=head.model,
    )
