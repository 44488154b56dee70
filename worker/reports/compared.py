"""Heads whose HC is known here and elsewhere, as pairs to compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain

from hcmodel.agreement import Pair
from worker.reports.exam_facts import BY_REPORT, BY_TABLE, Sources, median_hc_mm
from worker.reports.studies import Head, Studies, grouped, select_sights
from worker.store.filter import Filter
from worker.store.references import studies_with_references
from worker.store.session import Database

_ONE_BY_ONE = 2000
"""Studies that are quicker asked for by their index than all rows are read."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A head beside somebody else's HC; ``scan_id``: the surest frame of it, to be looked at."""

    pair: Pair
    scan_id: int
    source: str


def compared(heads: Iterable[Head], sources: Sources) -> Iterator[Compared]:
    """Yield each head whose HC is known here and elsewhere, image by image where the table is."""
    for head in heads:
        known = sources.of(head)
        by_file = list(sources.by_file(head))
        for image, entry in by_file:
            if entry.hc_mm is not None:
                ours_mm = median_hc_mm([image])
                pair = Pair(image.name, ours_mm, entry.hc_mm, known.ga_weeks)
                yield Compared(pair, image.best.scan_id, BY_TABLE)
        if by_file or known.hc_mm is None or head.reason() is not None:
            continue
        images = sources.images_of(head) if known.hc_source == BY_REPORT else head.trusted
        pair = Pair(head.name, median_hc_mm(images), known.hc_mm, known.ga_weeks)
        surest = max((each.best for each in images), key=lambda frame: frame.confidence)
        yield Compared(pair, surest.scan_id, known.hc_source or "")


def studies_of_references(database: Database, which: Filter) -> Studies | None:
    """Return the studies of these rows for which a report tells values; ``None`` without any."""
    uids = studies_with_references(database)
    if which.study is not None:
        uids &= {which.study}
    if not uids:
        return None
    each = [replace(which, study=uid) for uid in sorted(uids)]
    parts = each if len(each) <= _ONE_BY_ONE else [which]
    return grouped(chain.from_iterable(select_sights(database, part) for part in parts))
