"""The scanner's own report of an exam: HC, BPD, OFD and age from a DICOM structured report.

Reads the trees of TID 5000 (OB-GYN Ultrasound Procedure Report), of TID 1500 and their kind: what
counts is the code of a value and what stands above and below it, not the template's name. Only
numbers, codes and UIDs are taken; no text of the report leaves this module.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from statistics import fmean

from pydicom.dataset import Dataset

from worker.reading import tags
from worker.reading.report_tree import Code, Node, code_of, images_of, nodes_of, parsed, quantity
from worker.reading.source import Source
from worker.reference import AgeSource, Derivation, ExamReport, NoReference, Reference

_HC = {Code("11984-2", "LN"), Code("363812007", "SCT")}
_BPD = {Code("11820-8", "LN")}
_OFD = {Code("11851-3", "LN")}
_FETUSES = {Code("11878-6", "LN"), Code("121038", "DCM")}
_DERIVATION, _SELECTION = Code("121401", "DCM"), Code("121404", "DCM")
_CHOSEN = {Code(value, "DCM") for value in ("121410", "121411", "121412")}
_MEAN = {
    Code("373098007", "SCT"),
    Code("R-00317", "SRT"),
    Code("373099004", "SCT"),
    Code("R-00319", "SRT"),
}
"""Mean and median, by both names of the scheme."""
_AGES = {Code("11885-1", "LN"): AgeSource.LMP, Code("11886-9", "LN"): AgeSource.OVULATION}
_DUE = {
    Code("11778-8", "LN"): AgeSource.EDD,
    Code("11779-6", "LN"): AgeSource.LMP,
    Code("11780-4", "LN"): AgeSource.OVULATION,
}
"""Dates of delivery; that from the average ultrasound age is left out: it rests on this head."""
_LMP = {Code("8665-2", "LN"), Code("11955-2", "LN")}
_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0}
_WEEKS = {"wk": 1.0, "d": 1 / 7}

_HEADINGS = {
    Code("125000", "DCM"): "OB-GYN Ultrasound Procedure Report",
    Code("126000", "DCM"): "Imaging Measurement Report",
    Code("126010", "DCM"): "Imaging Measurements",
    Code("125007", "DCM"): "Measurement Group",
    Code("125002", "DCM"): "Fetal Biometry",
    Code("125005", "DCM"): "Biometry Group",
    Code("125004", "DCM"): "Fetal Cranium",
    Code("125008", "DCM"): "Fetus Summary",
    Code("121111", "DCM"): "Summary",
    Code("121070", "DCM"): "Findings",
    Code("59776-5", "LN"): "Findings",
    Code("11984-2", "LN"): "Head Circumference",
    Code("363812007", "SCT"): "Head Circumference",
}
_BIOMETRY = Code("125002", "DCM")

_OWN = "HC-BATCH"
"""As ``worker.reports.objects`` signs its reports, which archives send back like any other."""

_CODE = re.compile(r"[A-Za-z0-9._-]{1,16}")
_PLAUSIBLE_MM = (10.0, 500.0)
_PLAUSIBLE_WEEKS = (4.0, 45.0)
_SAME_SHARE = 0.01
"""Two values that count and differ by less say the same, rounded otherwise."""


@dataclass(frozen=True, slots=True)
class _Value:
    """A measured length of one fetus."""

    node: Node
    mm: float
    derivation: Derivation


def read_exam_report(source: Source) -> ExamReport:
    """Return what the report says of heads, one ``Reference`` per fetus.

    Raises ``FileDamaged``, ``TooLarge`` or ``NotAnImage`` where it is no readable DICOM object.
    """
    root = parsed(source)
    study, instance = tags.uid(root, "StudyInstanceUID"), tags.uid(root, "SOPInstanceUID")
    nodes = list(nodes_of(root))
    found = ExamReport(study, instance)
    if tags.code(root, "Manufacturer") == tags.code(root, "ManufacturerModelName") == _OWN:
        return replace(found, problem=NoReference.OWN)
    heads, unread = _values(nodes, _HC)
    if not heads:
        problem = NoReference.UNIT_UNKNOWN if unread else NoReference.NO_HC
        return replace(found, problem=problem)
    by_fetus = _by_fetus(nodes, heads)
    if by_fetus is None:
        return replace(found, problem=NoReference.FETUSES_UNNAMED)
    ages = _ages(root, nodes)
    sizes = {name: _values(nodes, codes)[0] for name, codes in (("bpd", _BPD), ("ofd", _OFD))}
    references = []
    for fetus, values in by_fetus.items():
        hc = _counting(values)
        if hc is None:
            return replace(found, problem=NoReference.CONTRADICTION)
        is_only = len(by_fetus) == 1
        others = {
            name: _counting([v for v in of if is_only or v.node.fetus == fetus])
            for name, of in sizes.items()
        }
        age = ages.get(fetus) or ages.get(None)
        references.append(
            Reference(
                fetus=fetus,
                hc_mm=hc.mm,
                bpd_mm=others["bpd"].mm if others["bpd"] else None,
                ofd_mm=others["ofd"].mm if others["ofd"] else None,
                ga_weeks=age[0] if age else None,
                ga_source=age[1] if age else None,
                hc_where=_where(hc.node),
                derivation=hc.derivation,
                instances=len(values),
                image_uids=images_of(root, hc.node),
            )
        )
    return replace(found, references=tuple(references))


def _values(nodes: list[Node], codes: set[Code]) -> tuple[list[_Value], int]:
    """Return the lengths of a concept in mm, and how many have no unit of length."""
    values, unread = [], 0
    for node in nodes:
        if node.code not in codes or node.kind != "NUM":
            continue
        measured = quantity(node.item, _MM)
        if measured is None:
            unread += bool(tags.items(node.item, "MeasuredValueSequence"))
        elif _PLAUSIBLE_MM[0] <= measured <= _PLAUSIBLE_MM[1]:
            values.append(_Value(node, measured, _derivation(node)))
    return values, unread


def _derivation(node: Node) -> Derivation:
    children = node.children()
    said = {
        code_of(child, "ConceptNameCodeSequence"): code_of(child, "ConceptCodeSequence")
        for child in children
    }
    if said.get(_SELECTION) in _CHOSEN:
        return Derivation.CHOSEN
    return Derivation.MEAN if said.get(_DERIVATION) in _MEAN else Derivation.SINGLE


def _by_fetus(nodes: list[Node], heads: list[_Value]) -> dict[str | None, list[_Value]] | None:
    """Return each fetus's values; ``None`` where there are several and nothing tells them apart."""
    counts = [quantity(n.item, {"1": 1.0, "": 1.0}) or 0 for n in nodes if n.code in _FETUSES]
    fetuses: dict[str | None, list[_Value]] = {}
    for value in heads:
        fetuses.setdefault(value.node.fetus, []).append(value)
    unnamed = fetuses.get(None, [])
    sections = {
        id(above.item) for value in unnamed for above in value.node.above if above.code == _BIOMETRY
    }
    if unnamed and (max(counts, default=0) > 1 or len(sections) > 1 or len(fetuses) > 2):
        return None
    if unnamed and len(fetuses) == 2:  # some values name the only fetus, others do not
        return {next(name for name in fetuses if name is not None): heads}
    return fetuses


def _counting(values: list[_Value]) -> _Value | None:
    """Return the one value that counts: chosen before mean before single.

    ``None`` where there is none, or where several that count alike differ.
    """
    for derivation in (Derivation.CHOSEN, Derivation.MEAN):
        alike = [value for value in values if value.derivation is derivation]
        if alike:
            lengths_mm = [value.mm for value in alike]
            is_same = max(lengths_mm) - min(lengths_mm) <= _SAME_SHARE * max(lengths_mm)
            return alike[0] if is_same else None
    if len(values) < 2:
        return values[0] if values else None
    mean_mm = fmean(value.mm for value in values)
    return _Value(values[0].node, mean_mm, Derivation.MEAN_OF_INSTANCES)


def _ages(root: Dataset, nodes: list[Node]) -> dict[str | None, tuple[float, AgeSource]]:
    """Return the age of each fetus, or of all, that does not rest on this ultrasound.

    A date of delivery that the report states counts before one that follows from a period.
    """
    study_date = tags.day(root, "StudyDate")
    found: dict[str | None, list[tuple[int, float, AgeSource]]] = {}
    for node in nodes:
        weeks, source, rank = None, None, 0
        if node.kind == "NUM" and node.code in _AGES:
            weeks, source, rank = quantity(node.item, _WEEKS), _AGES[node.code], 1
        elif node.kind in ("DATE", "DATETIME") and study_date is not None:
            keyword = "Date" if node.kind == "DATE" else "DateTime"
            said = tags.day(node.item, keyword)
            if said is not None and node.code in _DUE:
                source = _DUE[node.code]
                weeks = 40 - (said - study_date).days / 7
                rank = 0 if source is AgeSource.EDD else 2
            elif said is not None and node.code in _LMP:
                weeks, source, rank = (study_date - said).days / 7, AgeSource.LMP, 3
        if weeks is None or source is None:
            continue
        if _PLAUSIBLE_WEEKS[0] <= weeks <= _PLAUSIBLE_WEEKS[1]:
            found.setdefault(node.fetus, []).append((rank, weeks, source))
    return {fetus: min(ages)[1:] for fetus, ages in found.items()}


def _where(node: Node) -> str:
    """Return the headings down to the value: known ones by name, others by their code alone."""
    return " > ".join(_heading(each.code) for each in (*node.above, node))


def _heading(code: Code) -> str:
    if code in _HEADINGS:
        return _HEADINGS[code]
    if _CODE.fullmatch(code.value) and _CODE.fullmatch(code.scheme):
        return f"({code.value}, {code.scheme})"
    return "(unnamed)"
