"""Structured reports as three makers of scanners write them, for tests and for trying out.

``python -m rig.exam_reports FOLDER`` (in ``tests/``) writes one of each kind.

* ``PER_IMAGE``: TID 5000; several instances of each measurement, each inferred from an image, and
  their mean with a derivation, in mm.
* ``PER_STUDY``: TID 5000; one value per study with a selection status, in cm, no image named.
* ``GROUPS``: TID 1500; a measurement group per fetus, which points at its image in the image
  library by reference, with SNOMED's code.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid

COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"

Code = tuple[str, str, str]
HC: Code = ("11984-2", "LN", "Head Circumference")
BPD: Code = ("11820-8", "LN", "Biparietal Diameter")
OFD: Code = ("11851-3", "LN", "Occipital-Frontal Diameter")
HC_BY_SNOMED: Code = ("363812007", "SCT", "Head circumference")


class Maker(Enum):
    """Whose habits a report follows."""

    PER_IMAGE = "per-image"
    PER_STUDY = "per-study"
    GROUPS = "groups"


@dataclass
class Head:
    """One fetus as its report has it; no ``name``: nothing tells it from others."""

    hc_mm: float | None
    bpd_mm: float | None = None
    ofd_mm: float | None = None
    name: str | None = None
    instances_mm: Sequence[float] = ()
    images: list[str] = field(default_factory=list)


def coded(keyword: str, code: Code) -> Dataset:
    """An item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return sequence(keyword, item)


def sequence(keyword: str, *items: Dataset) -> Dataset:
    whole = Dataset()
    setattr(whole, keyword, list(items))
    return whole


def item(kind: str, name: Code, relationship: str = "CONTAINS", *children: Dataset) -> Dataset:
    """A content item."""
    ds = Dataset()
    ds.RelationshipType = relationship
    ds.ValueType = kind
    ds.update(coded("ConceptNameCodeSequence", name))
    if kind == "CONTAINER":
        ds.ContinuityOfContent = "SEPARATE"
    if children:
        ds.ContentSequence = list(children)
    return ds


def number(
    name: Code, value: float, unit: str, *children: Dataset, relationship: str = "CONTAINS"
) -> Dataset:
    ds = item("NUM", name, relationship, *children)
    measured = Dataset()
    measured.NumericValue = f"{value:.6g}"
    measured.update(coded("MeasurementUnitsCodeSequence", (unit, "UCUM", unit)))
    ds.MeasuredValueSequence = [measured]
    return ds


def text(name: Code, value: str, relationship: str = "HAS OBS CONTEXT") -> Dataset:
    ds = item("TEXT", name, relationship)
    ds.TextValue = value
    return ds


def day(name: Code, value: str) -> Dataset:
    ds = item("DATE", name)
    ds.add_new("Date", "SH", value)  # unlike DA, it holds what is no date
    return ds


def code_item(name: Code, value: Code, relationship: str) -> Dataset:
    ds = item("CODE", name, relationship)
    ds.update(coded("ConceptCodeSequence", value))
    return ds


def image(uid: str, relationship: str = "INFERRED FROM") -> Dataset:
    ds = Dataset()
    ds.RelationshipType, ds.ValueType = relationship, "IMAGE"
    reference = Dataset()
    reference.ReferencedSOPClassUID = UltrasoundImageStorage
    reference.ReferencedSOPInstanceUID = uid
    ds.ReferencedSOPSequence = [reference]
    return ds


def report(
    maker: Maker,
    heads: Sequence[Head],
    *,
    extra: Sequence[Dataset] = (),
    study_date: str = "20260115",
    study: str | None = None,
    fetuses: int | None = None,
) -> Dataset:
    """A whole report; ``extra``: items at its top, such as dates; ``fetuses``: how many it says."""
    ds = Dataset()
    ds.SOPClassUID = COMPREHENSIVE_SR
    ds.SOPInstanceUID, ds.StudyInstanceUID = generate_uid(), study or generate_uid()
    ds.SeriesInstanceUID = generate_uid()
    ds.Modality = "SR"
    ds.PatientName, ds.PatientID = "Secret^Name", "SECRET-ID"
    ds.StudyDate = study_date
    is_group = maker is Maker.GROUPS
    ds.ValueType, ds.ContinuityOfContent = "CONTAINER", "SEPARATE"
    title = ("126000", "DCM", "Imaging Measurement Report")
    if not is_group:
        title = ("125000", "DCM", "OB-GYN Ultrasound Procedure Report")
    ds.update(coded("ConceptNameCodeSequence", title))
    content = [text(("121008", "DCM", "Person Observer Name"), "Secret^Observer"), *extra]
    if fetuses is not None:
        content.append(number(("11878-6", "LN", "Number of Fetuses by US"), fetuses, "1"))
    if is_group:
        ds.ContentSequence = [*content, *_groups(heads, len(content))]
    else:
        of_head = _per_image if maker is Maker.PER_IMAGE else _per_study
        ds.ContentSequence = [*content, *(_biometry(head, of_head(head)) for head in heads)]
    return ds


def save(ds: Dataset, path: Path) -> Path:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta = meta
    ds.save_as(path, enforce_file_format=True)
    return path


def _biometry(head: Head, groups: list[Dataset]) -> Dataset:
    named = [] if head.name is None else [text(("11951-1", "LN", "Fetus ID"), head.name)]
    name = ("125002", "DCM", "Fetal Biometry")
    return item("CONTAINER", name, "CONTAINS", *named, *groups)


def _group(*values: Dataset) -> Dataset:
    return item("CONTAINER", ("125005", "DCM", "Biometry Group"), "CONTAINS", *values)


def _sizes(head: Head) -> list[tuple[Code, float]]:
    sizes = ((HC, head.hc_mm), (BPD, head.bpd_mm), (OFD, head.ofd_mm))
    return [(code, value) for code, value in sizes if value is not None]


def _per_image(head: Head) -> list[Dataset]:
    derived = code_item(
        ("121401", "DCM", "Derivation"), ("R-00317", "SRT", "Mean"), "HAS CONCEPT MOD"
    )
    groups = []
    for code, value in _sizes(head):
        values = [number(code, value, "mm", derived, *map(image, head.images))]
        if code == HC:
            values = [number(code, mm, "mm", *map(image, head.images)) for mm in head.instances_mm]
            values.append(number(code, value, "mm", derived, *map(image, head.images)))
        age = number(("18185-9", "LN", "Gestational Age"), 20.5, "wk")
        groups.append(_group(*values, age))
    return groups


def _per_study(head: Head) -> list[Dataset]:
    chosen = code_item(
        ("121404", "DCM", "Selection Status"),
        ("121412", "DCM", "Mean value chosen"),
        "HAS PROPERTIES",
    )
    groups = []
    for code, value in _sizes(head):
        others = [number(code, mm / 10, "cm") for mm in head.instances_mm if code == HC]
        groups.append(_group(*others, number(code, value / 10, "cm", chosen)))
    return groups


def _groups(heads: Sequence[Head], before: int) -> list[Dataset]:
    """An image library, then a measurement group per fetus that points into it."""
    uids = [uid for head in heads for uid in head.images]
    entries = [image(uid, "CONTAINS") for uid in uids]
    library = item("CONTAINER", ("111028", "DCM", "Image Library"), "CONTAINS", *entries)
    groups = []
    for head in heads:
        children = []
        if head.name is not None:
            children.append(text(("121030", "DCM", "Subject ID"), head.name))
        for uid in head.images:
            pointer = Dataset()
            pointer.RelationshipType = "INFERRED FROM"
            # From the root, item by item, counted from 1.
            pointer.ReferencedContentItemIdentifier = [1, before + 1, uids.index(uid) + 1]
            children.append(pointer)
        for code, value in _sizes(head):
            children.append(number(HC_BY_SNOMED if code == HC else code, value, "mm"))
        name = ("125007", "DCM", "Measurement Group")
        groups.append(item("CONTAINER", name, "CONTAINS", *children))
    name = ("126010", "DCM", "Imaging Measurements")
    return [library, item("CONTAINER", name, "CONTAINS", *groups)]


def drawn(draw: random.Random) -> tuple[Dataset, list[Head], Maker]:
    """Return a report that could be anybody's, and what it says."""
    maker = draw.choice(list(Maker))
    count = draw.choice((1, 1, 2, 3))
    names = (
        draw.sample("ABCD", count) if draw.random() < 0.5 else [str(n + 1) for n in range(count)]
    )
    heads = []
    for name in names:
        hc_mm = round(draw.uniform(60, 360), 1)
        several = maker is not Maker.GROUPS and draw.random() < 0.6
        heads.append(
            Head(
                hc_mm,
                round(hc_mm / 3.6, 1) if draw.random() < 0.7 else None,
                round(hc_mm / 2.9, 1) if draw.random() < 0.5 else None,
                name if count > 1 or draw.random() < 0.5 else None,
                [hc_mm + draw.uniform(-4, 4) for _ in range(draw.randint(2, 4))] if several else (),
                []
                if maker is Maker.PER_STUDY
                else [generate_uid() for _ in range(draw.randint(1, 3))],
            )
        )
    return report(maker, heads, fetuses=count if draw.random() < 0.5 else None), heads, maker


def main(folder: Path) -> None:
    """Write one report of each kind."""
    folder.mkdir(parents=True, exist_ok=True)
    twins = [Head(171.2, 47.0, name="A"), Head(168.4, 46.1, name="B")]
    single = Head(172.5, 47.3, 60.1, instances_mm=(171.0, 174.0), images=[generate_uid()])
    due = day(("11778-8", "LN", "EDD"), "20260604")
    kinds = {
        "per-image": report(Maker.PER_IMAGE, [single], extra=[due]),
        "per-study-cm": report(Maker.PER_STUDY, [Head(172.5, 47.3)], extra=[due]),
        "groups": report(Maker.GROUPS, [single]),
        "twins": report(Maker.PER_STUDY, twins, fetuses=2),
        "twins-unnamed": report(Maker.PER_STUDY, [Head(171.2), Head(168.4)], fetuses=2),
        "without-hc": report(Maker.PER_STUDY, [Head(None, 47.3)]),
    }
    for name, ds in kinds.items():
        save(ds, folder / f"{name}.dcm")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
