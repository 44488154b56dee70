"""What a report tells of its rows, gathered in one pass; memory is bounded by what is shown."""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

from worker.result import Status
from worker.store.rows import ReportRow

MOST_ROWS = 20_000
"""In the table of a report; a browser sorts them at once."""
_WITH_HC = (Status.MEASURED, Status.FLAGGED)
_ORDER = (Status.FLAGGED, Status.FAILED, Status.REJECTED, Status.MEASURED, Status.DUPLICATE)
_PAUSE_S = 60.0
_LEAST_S = 10.0
"""Results of a batch of the network are stored together: a rate takes several of them."""
"""Between two results: nobody measured meanwhile, and it counts as no work."""


@dataclass(slots=True)
class Share:
    """Of a group's rows with an HC, how many are flagged, and how many have none."""

    with_hc: int = 0
    flagged: int = 0
    refused: int = 0

    @property
    def flagged_percent(self) -> float | None:
        """Of those with an HC; ``None`` where there are none."""
        return 100 * self.flagged / self.with_hc if self.with_hc else None


@dataclass(slots=True)
class Digest:
    """Counts and sizes of all rows, and the rows that need a person most.

    Duplicates repeat what was measured before: they count by status, and nowhere else.
    ``measured_at_s`` are seconds since 1970, ``hc_mm`` the sizes by status.
    """

    statuses: Counter[Status] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    batches: Counter[str] = field(default_factory=Counter)
    formulas: Counter[str] = field(default_factory=Counter)
    scale_sources: Counter[str] = field(default_factory=Counter)
    by_day: dict[str, Share] = field(default_factory=dict)
    by_plane: dict[str, Share] = field(default_factory=dict)
    by_machine: dict[str, Share] = field(default_factory=dict)
    hc_mm: dict[Status, array[float]] = field(
        default_factory=lambda: {status: array("d") for status in _WITH_HC}
    )
    studies: set[str] = field(default_factory=set)
    measured_at_s: array[float] = field(default_factory=lambda: array("d"))
    without_study: int = 0
    first_rows: list[ReportRow] = field(default_factory=list)

    @property
    def total(self) -> int:
        """All rows."""
        return self.statuses.total()

    @property
    def left_out(self) -> int:
        """Rows that the table does not show."""
        return self.total - len(self.first_rows)


@dataclass(frozen=True, slots=True)
class Throughput:
    """How quickly results came; pauses of more than a minute between two are left out."""

    results: int
    active_s: float
    first: datetime
    last: datetime

    @property
    def per_minute(self) -> float | None:
        """Results a minute; ``None`` where they came too close together to tell."""
        return 60 * self.results / self.active_s if self.active_s >= _LEAST_S else None


def digest_of(rows: Iterable[ReportRow], most: int = MOST_ROWS) -> Digest:
    """Return what the rows tell; of the rows themselves the first ``most`` by ``urgency``."""
    found = Digest()
    kept: list[tuple[tuple[float, ...], ReportRow]] = []
    for row in rows:
        _count(found, row)
        # The least urgent lies on top, since a heap has its smallest there.
        entry = (tuple(-each for each in urgency(row)), row)
        if len(kept) < most:
            heapq.heappush(kept, entry)
        elif entry > kept[0]:
            heapq.heapreplace(kept, entry)
    found.first_rows = [row for _, row in sorted(kept, reverse=True)]
    return found


def urgency(row: ReportRow) -> tuple[float, ...]:
    """Return a key by which rows sort that need a person first, the least sure before others."""
    status = Status(row.status)
    rank = _ORDER.index(status) if status in _ORDER else len(_ORDER)
    confidence = row.ellipse.confidence
    return rank, 1.0 if confidence is None else confidence, row.scan_id


def throughput(found: Digest) -> Throughput | None:
    """Return how quickly results came; ``None`` without any."""
    moments = sorted(found.measured_at_s)
    if not moments:
        return None
    gaps = [after - before for before, after in pairwise(moments)]
    first, last = (datetime.fromtimestamp(each, UTC) for each in (moments[0], moments[-1]))
    return Throughput(len(moments), sum(gap for gap in gaps if gap <= _PAUSE_S), first, last)


def _count(found: Digest, row: ReportRow) -> None:
    status = Status(row.status)
    found.statuses[status] += 1
    found.batches[row.batch] += 1
    if row.code is not None:
        found.codes[row.code] += 1
    if status is Status.DUPLICATE:
        return
    if row.model is not None:
        found.models[row.model] += 1
    if row.measured_at is not None:
        found.measured_at_s.append(row.measured_at.timestamp())
    if row.file.study_instance_uid is None:
        found.without_study += 1
    else:
        found.studies.add(row.file.study_instance_uid)
    for flag in row.ellipse.flags:
        found.flags[flag] += 1
    if row.sizes.hc_mm is not None and status in found.hc_mm:
        found.hc_mm[status].append(row.sizes.hc_mm)
    if row.sizes.ga_formula is not None:
        found.formulas[row.sizes.ga_formula] += 1
    if row.scale.spacing_source is not None:
        found.scale_sources[row.scale.spacing_source] += 1
    _share(found, row, status)


def _share(found: Digest, row: ReportRow, status: Status) -> None:
    groups: list[tuple[dict[str, Share], str | None]] = [
        (found.by_day, None if row.measured_at is None else f"{row.measured_at:%Y-%m-%d}"),
        (found.by_plane, row.head_plane.plane),
        (found.by_machine, row.exam.machine),
    ]
    for shares, name in groups:
        if name is None:
            continue
        share = shares.setdefault(name, Share())
        if row.sizes.hc_mm is None:
            share.refused += 1
        else:
            share.with_hc += 1
            share.flagged += status is Status.FLAGGED


def most_common(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return names with their counts, the most frequent first, then by name."""
    return sorted(counts.items(), key=lambda each: (-each[1], each[0]))
