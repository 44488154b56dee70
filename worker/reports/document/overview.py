"""The sections about all rows: states, sizes, rates, speed, and repeats within studies."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from statistics import fmean, median, quantiles

from hcmodel.flags import meaning_of
from worker.errors import HcBatchError, codes_of
from worker.reports.document.digest import Digest, Share, most_common, throughput
from worker.reports.document.plots import distribution, flag_rates, repeats
from worker.reports.document.section import NONE, Plot, Section, Table, fixed
from worker.result import Status

_LEAST_FOR_A_PLOT = 3


def sentence_of(found: Digest) -> str:
    """Return what came out, in a sentence."""
    if not found.total:
        return "No row fits."
    counts = ", ".join(
        f"{found.statuses[status]} {status.value}" for status in Status if found.statuses[status]
    )
    sizes = sorted(chain.from_iterable(found.hc_mm.values()))
    sized = (
        f"; HC from {sizes[0]:.1f} to {sizes[-1]:.1f} mm, in the median {median(sizes):.1f} mm"
        if sizes
        else "; none has an HC"
    )
    studies = f" of {_many(len(found.studies), 'study', 'studies')}" if found.studies else ""
    batches = _many(len(found.batches), "batch", "batches")
    scans = _many(found.total, "scan", "scans")
    return f"{scans}{studies} in {batches}: {counts}{sized}."


def sections_of(found: Digest, pairs_mm: Sequence[tuple[float, float]]) -> Iterator[Section]:
    """Yield the sections that have anything to say."""
    yield Section("What came out", tables=[_status_table(found)])
    if found.codes or found.flags:
        yield Section("What a person must look at", tables=list(_look_tables(found)))
    sizes = list(chain.from_iterable(found.hc_mm.values()))
    if sizes:
        yield _sizes_section(found, sizes)
        yield _rates_section(found)
    if pairs_mm:
        yield _repeats_section(pairs_mm)
    yield _speed_section(found)


def repeatability(pairs_mm: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return mean absolute difference of two images, and the standard deviation of one, in mm.

    The latter by Bland and Altman (BMJ 312:1654): the root of half the mean squared difference.
    """
    apart_mm = [one - other for one, other in pairs_mm]
    within_mm = math.sqrt(fmean([difference**2 for difference in apart_mm]) / 2)
    return fmean(list(map(abs, apart_mm))), within_mm


def _status_table(found: Digest) -> Table:
    rows = [
        (status.value, f"{count}", f"{100 * count / found.total:.1f}")
        for status in Status
        if (count := found.statuses[status])
    ]
    return Table("Scans by status", ("status", "scans", "%"), rows)


def _look_tables(found: Digest) -> Iterator[Table]:
    if found.codes:
        kinds = codes_of(HcBatchError)
        refused = []
        for code, count in most_common(found.codes):
            error = kinds[code]() if code in kinds else None
            cause, remedy = (error.cause, error.remedy) if error else ("", "")
            refused.append((code, f"{count}", cause, remedy))
        headings = ("code", "scans", "what it means", "what to do")
        yield Table("Scans without an HC, by code", headings, refused)
    if found.flags:
        flagged = [(flag, f"{count}", meaning_of(flag)) for flag, count in most_common(found.flags)]
        yield Table("Flagged measurements, by flag", ("flag", "scans", "what it means"), flagged)


def _sizes_section(found: Digest, sizes: Sequence[float]) -> Section:
    rows = []
    for status, values in found.hc_mm.items():
        if len(values) > 1:
            low, middle, high = quantiles(values, n=4)
            cells = (min(values), low, middle, high, max(values))
            rows.append((status.value, f"{len(values)}", *map(fixed, cells)))
        elif values:
            only = fixed(values[0])
            rows.append((status.value, "1", only, NONE, only, NONE, only))
    headings = ("status", "scans", "least mm", "1st quartile", "median", "3rd quartile", "most mm")
    plots = []
    if len(sizes) >= _LEAST_FOR_A_PLOT:
        plots = [Plot(distribution(found.hc_mm), "How many heads have which circumference.")]
    return Section("Sizes", plots=plots, tables=[Table("HC in mm", headings, rows)])


def _rates_section(found: Digest) -> Section:
    groups = (
        ("By day (UTC)", found.by_day),
        ("By machine", found.by_machine),
        ("By plane, as the instrument tells it", found.by_plane),
    )
    plots = []
    if len(found.by_day) > 1:
        percents = {day: share.flagged_percent for day, share in found.by_day.items()}
        plots = [Plot(flag_rates(percents), "Flagged measurements day by day.")]
    tables = [_rate_table(caption, shares) for caption, shares in groups if shares]
    return Section("How often a person must look", plots=plots, tables=tables)


def _rate_table(caption: str, shares: Mapping[str, Share]) -> Table:
    rows = [
        (name, f"{share.with_hc}", f"{share.flagged}", fixed(share.flagged_percent),
         f"{share.refused}")
        for name, share in sorted(shares.items())
    ]  # fmt: skip
    return Table(caption, ("group", "with HC", "flagged", "flagged %", "without HC"), rows)


def _repeats_section(pairs_mm: Sequence[tuple[float, float]]) -> Section:
    apart_mm, within_mm = repeatability(pairs_mm)
    text = (
        f"Two trusted images of one study, in {_many(len(pairs_mm), 'study', 'studies')}: HC "
        f"differs by {apart_mm:.2f} mm on average; one image has a standard deviation of "
        f"{within_mm:.2f} mm. Different planes of one head differ too."
    )
    plots = []
    if len(pairs_mm) >= _LEAST_FOR_A_PLOT:
        plots = [Plot(repeats(pairs_mm), "Each point is a study.")]
    return Section("Repeatability within studies", [text], plots)


def _speed_section(found: Digest) -> Section:
    speed = throughput(found)
    if speed is None:
        return Section("Throughput", ["Nothing has been measured yet."])
    first, last = (f"{each:%Y-%m-%d %H:%M}" for each in (speed.first, speed.last))
    text = f"{_many(speed.results, 'result', 'results')} between {first} and {last} UTC"
    if speed.per_minute is not None:
        text += (
            f", {speed.per_minute:.0f} a minute while measuring; pauses of more than a minute "
            "are left out"
        )
    return Section("Throughput", [f"{text}."])


def _many(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
