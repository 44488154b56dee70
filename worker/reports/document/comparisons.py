"""The sections that set HC beside others: who else measured it, an age, and people's reviews."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from hcmodel.agreement import ALL, Agreement, Estimate, Pair, agreements, worst
from hcmodel.growth import MEANINGS, Chart, Growth
from worker.plain_text import visible
from worker.reports.compared import Compared
from worker.reports.document.plots import bland_altman, growth_chart
from worker.reports.document.section import NONE, Picture, Plot, Section, Table, fixed
from worker.reports.exam_facts import BY_REPORT, BY_TABLE, Sources
from worker.reports.studies import MEANINGS as REASONS
from worker.reports.studies import Head
from worker.store.reviews import Reviewed, Verdict

WORST = 9
_LEAST_FOR_A_PLOT = 2


@dataclass(frozen=True, slots=True)
class Placed:
    """A head with its age, and where it lies on the chart."""

    name: str
    hc_mm: float
    ga_weeks: float
    ga_source: str
    growth: Growth


def placed(heads: Iterable[Head], sources: Sources) -> Iterator[Placed]:
    """Yield each head whose HC and age are known."""
    for head in heads:
        known, found = sources.of(head), head.hc()
        growth = sources.growth_of(found.hc_mm if found else None, known)
        if found is not None and growth is not None and known.ga_weeks is not None:
            source = known.ga_source or ""
            yield Placed(head.name, found.hc_mm, known.ga_weeks, source, growth)


def studies_section(heads: Iterable[Head]) -> Section | None:
    """Return how many studies have one HC, and why others have none."""
    of_studies = [head for head in heads if head.study is not None]
    if not of_studies:
        return None
    reasons = Counter(head.reason() for head in of_studies)
    with_hc = reasons.pop(None, 0)
    rows = [("one HC", f"{with_hc}", "the median of its trusted images")]
    rows += [
        (reason.value, f"{count}", REASONS[reason])
        for reason, count in reasons.most_common()
        if reason is not None
    ]
    headings = ("study", "heads", "what it means")
    texts = ["One HC per study and fetus: hc-batch results --per study lists them."]
    return Section("Studies", texts, tables=[Table("Heads of studies", headings, rows)])


def agreement_section(
    found: Sequence[Compared], pictures: Callable[[Mapping[int, str]], Sequence[Picture]]
) -> Section | None:
    """Return ours against theirs: Bland-Altman, by trimester, the worst cases with pictures.

    ``pictures``: of scans, each with the words below it.
    """
    if not found:
        return None
    pairs = [each.pair for each in found]
    lines = agreements(pairs)
    by_source = Counter(each.source for each in found)
    origins = {BY_REPORT: "the scanner's own report", BY_TABLE: "the given table"}
    told = " and ".join(f"{origins[name]} ({count})" for name, count in by_source.items())
    worst_pairs = {id(pair) for pair in worst(pairs, WORST)}
    cases = sorted(
        (each for each in found if id(each.pair) in worst_pairs),
        key=lambda each: -abs(each.pair.difference_mm),
    )
    overall = next(line for line in lines if line.group == ALL)
    plots = []
    if len(pairs) >= _LEAST_FOR_A_PLOT:
        text = "Ours less theirs; the line is the bias, dashed are the 95 % limits of agreement."
        plots = [Plot(bland_altman(pairs, overall), text)]
    return Section(
        "Against the sonographer",
        [
            f"{len(pairs)} heads are compared with {told}; differences are ours less theirs, and "
            "trimesters by the known age, or else by their HC."
        ],
        plots,
        [_agreement_table(lines), _worst_table(cases)],
        pictures({each.scan_id: _difference(each) for each in cases}),
    )


def growth_section(found: Sequence[Placed], chart: Chart) -> Section | None:
    """Return HC against age on the bands of a chart; ages outside it say so."""
    if not found:
        return None
    on_chart = [each for each in found if each.growth.z is not None]
    zs = [each.growth.z for each in on_chart if each.growth.z is not None]
    texts = [
        f"{len(found)} heads have an age that does not come from their HC; centiles are those of "
        f"{chart.value}."
    ]
    if zs:
        below = sum(each.growth.centile is not None and each.growth.centile < 3 for each in found)
        above = sum(each.growth.centile is not None and each.growth.centile > 97 for each in found)
        texts.append(
            f"In the mean z is {fmean(zs):+.2f}; {below} lie below the 3rd centile and {above} "
            "above the 97th."
        )
    for reason, count in Counter(each.growth.reason for each in found).items():
        if reason is not None:
            texts.append(f"Without a centile: {count}, since {MEANINGS[reason]}.")
    points = [(each.ga_weeks, each.hc_mm) for each in found]
    plots = [Plot(growth_chart(points, chart), "Centiles 3, 10, 50, 90 and 97 of the chart.")]
    rows = [
        (
            visible(each.name),
            fixed(each.ga_weeks),
            each.ga_source,
            fixed(each.hc_mm),
            fixed(each.growth.z, 2),
            fixed(each.growth.centile),
        )
        for each in _farthest(found)
    ]
    headings = ("name", "weeks", "age from", "HC mm", "z", "centile")
    caption = f"Farthest from the median of {chart.value}"
    return Section("Growth", texts, plots, [Table(caption, headings, rows)])


def reviews_section(
    reviews: Iterable[Reviewed],
) -> Section | None:
    """Return what people said of these rows; each one's last word on a scan counts."""
    listed = list(reviews)
    last = {
        (each.stored.review.scan_id, each.stored.review.reviewer): each.stored.review
        for each in listed
    }
    ours_mm = {each.stored.review.scan_id: each.instrument_hc_mm for each in listed}
    if not last:
        return None
    rows = []
    for name in sorted({review.reviewer for review in last.values()}):
        said = [review for review in last.values() if review.reviewer == name]
        verdicts = Counter(review.verdict for review in said)
        agreed = 100 * verdicts[Verdict.ACCEPTED] / len(said)
        rows.append(
            (
                visible(name),
                f"{len(said)}",
                *(f"{verdicts[verdict]}" for verdict in Verdict),
                fixed(agreed),
            )
        )
    headings = ("name", "reviews", *(verdict.value for verdict in Verdict), "accepted %")
    tables = [Table("What people said, by reviewer", headings, rows)]
    reasons = Counter(review.reason for review in last.values() if review.reason)
    if reasons:
        counts = [(reason, f"{count}") for reason, count in reasons.most_common()]
        tables.append(Table("Why they rejected", ("reason", "reviews"), counts))
    pairs = []
    for review in last.values():
        theirs_mm = review.measurement.hc_mm if review.measurement else None
        instrument_mm = ours_mm[review.scan_id]
        if theirs_mm is not None and instrument_mm is not None:
            pairs.append(Pair(f"scan {review.scan_id}", instrument_mm, theirs_mm))
    if pairs:
        tables.append(_agreement_table(agreements(pairs)))
    return Section(
        "What reviewers say",
        ["Each reviewer's last word on a scan counts; corrections are compared with HC."],
        tables=tables,
    )


def _difference(each: Compared) -> str:
    pair = each.pair
    return f"{pair.difference_mm:+.1f} mm of {pair.theirs_mm:.1f} mm"


def _farthest(found: Sequence[Placed]) -> list[Placed]:
    """Return the heads whose z is largest either way, those without one first."""
    return sorted(found, key=lambda each: -abs(each.growth.z or float("inf")))[: 2 * WORST]


def _agreement_table(lines: Sequence[Agreement]) -> Table:
    headings = ("group", "heads", "bias mm", "95 % CI", "SD mm", "lower limit mm", "upper limit mm",
                "mean abs. mm", "mean abs. %")  # fmt: skip
    rows = [
        (
            line.group,
            f"{line.pairs}",
            f"{line.bias_mm.value:+.2f}",
            _interval(line.bias_mm),
            fixed(line.sd_mm, 2),
            _limit(line.lower_mm),
            _limit(line.upper_mm),
            fixed(line.absolute_mm, 2),
            fixed(line.relative_percent, 2),
        )
        for line in lines
    ]
    return Table("Ours less theirs, by trimester", headings, rows)


def _worst_table(cases: Sequence[Compared]) -> Table:
    rows = [
        (
            visible(each.pair.name),
            fixed(each.pair.ours_mm),
            fixed(each.pair.theirs_mm),
            f"{each.pair.difference_mm:+.1f}",
            fixed(each.pair.ga_weeks),
        )
        for each in cases
    ]
    headings = ("name", "ours mm", "theirs mm", "difference mm", "weeks")
    return Table("The largest differences", headings, rows)


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return NONE
    return f"{estimate.low:+.2f} to {estimate.high:+.2f}"


def _limit(estimate: Estimate | None) -> str:
    return NONE if estimate is None else f"{estimate.value:+.2f} ({_interval(estimate)})"
