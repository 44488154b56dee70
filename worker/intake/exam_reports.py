"""Scanners' own reports among the files: read in a process of their own, and kept to compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from worker.errors import HcBatchError
from worker.reading.formats import STRUCTURED_REPORT
from worker.reference import NO_REFERENCE, ExamReport
from worker.roots import Roots
from worker.store.batches import NewSkip
from worker.store.references import NewReference


def read_reports(
    skips: Sequence[NewSkip], roots: Roots
) -> tuple[list[NewSkip], list[NewReference]]:
    """Read the structured reports among files that are no images.

    Returns all files, those with a reason that says what was read, and what they say of heads. A
    report that cannot be read costs itself alone.
    """
    if not any(skip.code == STRUCTURED_REPORT.code for skip in skips):
        return list(skips), []
    # Loads NumPy, which takes longer than `hc-batch submit` may take to answer.
    from worker.reading.sandbox.pool import ReaderPool

    told: list[NewSkip] = []
    found: list[NewReference] = []
    with ReaderPool(roots=roots.paths) as pool:
        for skip in skips:
            if skip.code != STRUCTURED_REPORT.code:
                told.append(skip)
                continue
            try:
                report = pool.read_report(Path(skip.source))
            except HcBatchError as error:
                told.append(_saying(skip, f"it cannot be read ({error.code})"))
                continue
            told.append(_saying(skip, _told(report)))
            found += _references(skip.source, report)
    return told, found


def _saying(skip: NewSkip, what: str) -> NewSkip:
    return replace(skip, reason=f"a structured report: {what}")


def _told(report: ExamReport) -> str:
    if report.problem is not None:
        return NO_REFERENCE[report.problem]
    if report.study_instance_uid is None:
        return "it names no study, so that its HC cannot be joined to images"
    count = len(report.references)
    return "its HC is kept to compare with" + (f", {count} fetuses" if count > 1 else "")


def _references(source: str, report: ExamReport) -> list[NewReference]:
    if report.study_instance_uid is None:
        return []
    return [
        NewReference(source, report.sop_instance_uid, report.study_instance_uid, reference)
        for reference in report.references
    ]
