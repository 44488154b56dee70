"""Messages between a reader process and its owner: a JSON head, then raw bytes.

No pickle: the process that reads hostile files must not be able to send code.
"""

from __future__ import annotations

import dataclasses
import json
import struct
from datetime import date
from typing import Any

import numpy as np

from hcmodel.geometry import Spacing
from worker.exam import Exam
from worker.reference import AgeSource, Derivation, ExamReport, NoReference, Reference
from worker.scan import Box, ImageReference, Region, Scan

LENGTHS = struct.Struct("<LL")


def pack(head: dict[str, Any], body: bytes = b"") -> bytes:
    """Return a message: both lengths, the head, the body."""
    text = json.dumps(head).encode()
    return LENGTHS.pack(len(text), len(body)) + text + body


def from_scan(scan: Scan) -> tuple[dict[str, Any], bytes]:
    """Head and body that carry a scan."""
    head = {
        field.name: getattr(scan, field.name)
        for field in dataclasses.fields(scan)
        if field.name not in ("pixels", "regions", "exam")
    }
    exam = dataclasses.asdict(scan.exam)
    if scan.exam.study_date is not None:
        exam["study_date"] = scan.exam.study_date.isoformat()
    regions = [dataclasses.asdict(region) for region in scan.regions]
    head |= {"shape": scan.pixels.shape, "regions": regions, "exam": exam}
    return head, scan.pixels.tobytes()


def to_scan(head: dict[str, Any], body: bytes | bytearray) -> Scan:
    """Return the scan that ``from_scan`` packed."""
    fields = dict(head)
    pixels = np.frombuffer(body, np.uint8).reshape(fields.pop("shape"))
    regions = tuple(_region(region) for region in fields.pop("regions"))
    parts = {"regions": regions, "flags": tuple(fields["flags"]), "exam": _exam(fields["exam"])}
    return Scan(**{**fields, **parts, "pixels": pixels})


def from_report(report: ExamReport) -> dict[str, Any]:
    """Return the head that carries a report."""
    return dataclasses.asdict(report)


def to_report(head: dict[str, Any]) -> ExamReport:
    """Return the report that ``from_report`` packed."""
    problem = head["problem"]
    references = tuple(_reference(fields) for fields in head["references"])
    return ExamReport(
        **{
            **head,
            "references": references,
            "problem": None if problem is None else NoReference(problem),
        }
    )


def from_image_reference(image: ImageReference) -> dict[str, Any]:
    """Return the head that carries what is said of an image."""
    return dataclasses.asdict(image)


def to_image_reference(head: dict[str, Any]) -> ImageReference:
    """Return what ``from_image_reference`` packed."""
    return ImageReference(**head)


def _reference(fields: dict[str, Any]) -> Reference:
    source, derivation = fields["ga_source"], fields["derivation"]
    return Reference(
        **{
            **fields,
            "ga_source": None if source is None else AgeSource(source),
            "derivation": None if derivation is None else Derivation(derivation),
            "image_uids": tuple(fields["image_uids"]),
        }
    )


def _exam(fields: dict[str, Any]) -> Exam:
    day = fields["study_date"]
    return Exam(**{**fields, "study_date": None if day is None else date.fromisoformat(day)})


def _region(fields: dict[str, Any]) -> Region:
    return Region(
        **{
            **fields,
            "box": Box(**fields["box"]),
            "spacing": _spacing(fields["spacing"]),
            "flags": tuple(fields["flags"]),
            "contradicted_by": _spacing(fields["contradicted_by"]),
        }
    )


def _spacing(fields: dict[str, float] | None) -> Spacing | None:
    return None if fields is None else Spacing(**fields)
