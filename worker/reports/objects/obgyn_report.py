"""DICOM SR by TID 5000, the OB-GYN Ultrasound Procedure Report: fetal biometry of one study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from highdicom.sr import (
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    LanguageOfContentItemAndDescendants,
    NumContentItem,
)

from hcmodel.gestational_age import HADLOCK_1984, INTERGROWTH_2016
from worker.reports.objects.dicom_object import file_bytes
from worker.reports.objects.keyed_uid import UidMaker
from worker.reports.objects.measurement import SCHEME, STATEMENT, UNKNOWN, Measurement
from worker.reports.objects.report_content import (
    HC,
    comment,
    document,
    length_item,
    lengths,
    observation_context,
    outline,
)

FORM = "dicom-sr-obgyn"
_TITLE = CodedConcept("125000", "DCM", "OB-GYN Ultrasound Procedure Report")
_SUMMARY = CodedConcept("121111", "DCM", "Summary")
_BIOMETRY = CodedConcept("125002", "DCM", "Fetal Biometry")
_GROUP = CodedConcept("125005", "DCM", "Biometry Group")
_AGE = CodedConcept("18185-9", "LN", "Gestational Age")
_EQUATION = CodedConcept("121420", "DCM", "Equation")
_DAY = CodedConcept("d", "UCUM", "day")
_EQUATIONS = {
    HADLOCK_1984: CodedConcept("11932-1", "LN", "HC, Hadlock 1984"),
    INTERGROWTH_2016: CodedConcept("INTERGROWTH-2016", SCHEME, "HC, INTERGROWTH-21st 2016"),
}
"""CID 12013 has no code for the second."""


def obgyn_report(measurements: Sequence[Measurement], uids: UidMaker) -> bytes:
    """Return the file of a report about all heads that were measured in one study.

    Each is an instance of its own: nobody has chosen one, and no mean is made of them.
    """
    root = _container(_TITLE, template="5000")
    summary = _container(_SUMMARY, template="5002", relation="CONTAINS")
    summary.ContentSequence = ContentSequence(
        [comment(remark) for remark in _remarks(measurements)]
    )
    biometry = _container(_BIOMETRY, template="5005", relation="CONTAINS")
    biometry.ContentSequence = ContentSequence(
        [group for measurement in measurements for group in _groups(measurement)]
    )
    root.ContentSequence = ContentSequence(
        [
            *LanguageOfContentItemAndDescendants(CodedConcept("en", "RFC5646", "English")),
            *observation_context(measurements[0], uids),
            summary,
            biometry,
        ]
    )
    return file_bytes(document(FORM, root, measurements, uids))


def _remarks(measurements: Sequence[Measurement]) -> list[str]:
    of_each = (
        " ".join(filter(None, (f"Image {number}:", one.interval, one.doubts)))
        for number, one in enumerate(measurements, 1)
    )
    return [f"{STATEMENT} {UNKNOWN}", *of_each]


def _groups(measurement: Measurement) -> list[ContainerContentItem]:
    """Return a group for each length of one image: an age belongs to the HC beside it."""
    groups = []
    for length in lengths(measurement):
        (item,) = length_item(*length)
        item.RelationshipType = "CONTAINS"
        properties: list[ContentItem] = [*item.get("ContentSequence", [])]
        item.ContentSequence = ContentSequence([*properties, _inferred_from(measurement)])
        age = _age(measurement) if length[0] == HC else []
        group = _container(_GROUP, template="5008", relation="CONTAINS")
        group.ContentSequence = ContentSequence([*cast(list[ContentItem], [item]), *age])
        groups.append(group)
    return groups


def _inferred_from(measurement: Measurement) -> ContentItem:
    assert measurement.image is not None
    region = outline(measurement, measurement.image)
    region.RelationshipType = "INFERRED FROM"
    return region


def _age(measurement: Measurement) -> list[ContentItem]:
    """Return the age that follows from this HC alone, with its equation by code."""
    sizes = measurement.row.sizes
    if sizes.ga_weeks is None or sizes.ga_formula not in _EQUATIONS:
        return []
    age = NumContentItem(_AGE, round(7 * sizes.ga_weeks, 1), _DAY, relationship_type="CONTAINS")
    equation = CodeContentItem(
        _EQUATION, _EQUATIONS[sizes.ga_formula], relationship_type="INFERRED FROM"
    )
    age.ContentSequence = ContentSequence([equation])
    return [age]


def _container(
    name: CodedConcept, *, template: str, relation: str | None = None
) -> ContainerContentItem:
    return ContainerContentItem(
        name, is_content_continuous=False, template_id=template, relationship_type=relation
    )
