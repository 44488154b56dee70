"""A paragraph of methods and one of results for a paper, in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from statistics import median, quantiles

from worker.plain_text import visible
from worker.reports.document.digest import Digest, most_common, throughput
from worker.reports.document.overview import repeatability
from worker.reports.document.provenance import Provenance
from worker.reports.document.section import Section
from worker.result import Status

_SIGNS = re.compile(r"[\\`*_\[\]<>|#!&]")
_SOURCES = {
    "us-region": "the file's calibrated ultrasound region (SequenceOfUltrasoundRegions)",
    "pixel-spacing": "PixelSpacing of ultrasound images without such a region",
    "manual": "the user",
}
_FORMULAS = {
    "hadlock-1984": "Hadlock et al. 1984 (Radiology 152:497)",
    "intergrowth-2016": "INTERGROWTH-21st 2016 (Ultrasound Obstet Gynecol 48:719)",
}


def methods_of(
    found: Digest,
    provenance: Provenance,
    pairs_mm: Sequence[tuple[float, float]],
    sections: Iterable[Section],
) -> str:
    """Return Markdown; ``sections``: those whose texts and tables belong to the results."""
    parts = [
        "## Methods",
        _methods(found, provenance),
        "## Results",
        _results(found, pairs_mm),
        *_extra(sections),
        "Research use only, not a medical device.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _methods(found: Digest, provenance: Provenance) -> str:
    libraries = ", ".join(f"{name} {number}" for name, number in provenance.libraries.items())
    return " ".join(
        [
            f"Fetal head circumference (HC) was measured with hc-batch {provenance.product} "
            f"(report written under Python {provenance.python}; {libraries}).",
            *_instruments(found, provenance),
            "The skull's outer border is found by a U-Net that sees the image and then the head "
            "from near, and corrected along the outline by a second network; a third refuses "
            "other anatomy and flags planes other than the trans-thalamic and trans-ventricular "
            "ones. An ellipse is fitted, its axes are scaled to millimetres, and HC is its "
            "circumference (Ramanujan's second approximation).",
            *_scales(found),
            "Each HC has a 90 % interval by split conformal prediction, calibrated on unseen "
            "exams; measurements that the instrument doubts are flagged.",
            *_ages(found),
        ]
    )


def _instruments(found: Digest, provenance: Provenance) -> list[str]:
    sentences = []
    for model, count in most_common(found.models):
        sha256 = provenance.weights_sha256.get(model)
        hashed = f", weights SHA-256 `{sha256}`" if sha256 else ""
        sentences.append(
            f"Instrument `{visible(model).replace('`', '')}`{hashed} ({count} images)."
        )
    return sentences


def _scales(found: Digest) -> list[str]:
    if not found.scale_sources:
        return []
    told = ", ".join(
        f"{_SOURCES.get(source, visible(source))} ({count})"
        for source, count in most_common(found.scale_sources)
    )
    return [f"The size of a pixel came from {told}."]


def _ages(found: Digest) -> list[str]:
    if not found.formulas:
        return []
    named = " and ".join(_FORMULAS.get(name, visible(name)) for name in sorted(found.formulas))
    return [f"The gestational age in `ga_weeks` is that of HC alone by {named}."]


def _results(found: Digest, pairs_mm: Sequence[tuple[float, float]]) -> str:
    if not found.total:
        return "No row fits."
    studies = f" of {len(found.studies)} studies" if found.studies else ""
    counts = ", ".join(
        f"{status.value} {found.statuses[status]}" for status in Status if found.statuses[status]
    )
    sentences = [f"{found.total} images{studies}: {counts}."]
    if found.codes:
        listed = ", ".join(f"{visible(code)} {count}" for code, count in most_common(found.codes))
        sentences.append(f"Reasons for no HC: {listed}.")
    if found.flags:
        listed = ", ".join(f"{visible(flag)} {count}" for flag, count in most_common(found.flags))
        sentences.append(f"Flags: {listed}.")
    return " ".join([*sentences, *_sizes(found), *_repeats(pairs_mm), *_speed(found)])


def _sizes(found: Digest) -> list[str]:
    sizes = sorted(chain.from_iterable(found.hc_mm.values()))
    if len(sizes) < 2:
        return [f"HC was {sizes[0]:.1f} mm."] if sizes else []
    low, _, high = quantiles(sizes, n=4)
    return [
        f"HC was {median(sizes):.1f} mm in the median (quartiles {low:.1f} and {high:.1f}, range "
        f"{sizes[0]:.1f} to {sizes[-1]:.1f} mm, n = {len(sizes)})."
    ]


def _repeats(pairs_mm: Sequence[tuple[float, float]]) -> list[str]:
    if not pairs_mm:
        return []
    apart_mm, within_mm = repeatability(pairs_mm)
    return [
        f"Two images of one study differed by {apart_mm:.2f} mm on average, a within-study "
        f"standard deviation of {within_mm:.2f} mm (n = {len(pairs_mm)})."
    ]


def _speed(found: Digest) -> list[str]:
    speed = throughput(found)
    if speed is None:
        return []
    days = f"from {speed.first:%Y-%m-%d} to {speed.last:%Y-%m-%d}"
    rate = "" if speed.per_minute is None else f", {speed.per_minute:.0f} a minute"
    return [f"Images were measured {days}{rate}."]


def _extra(sections: Iterable[Section]) -> list[str]:
    parts: list[str] = []
    for section in sections:
        parts += [f"### {section.title}", *section.texts]
        for table in section.tables:
            lines = [table.headings, tuple("---" for _ in table.headings), *table.rows]
            parts.append("\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines))
    return parts


def _cell(text: str) -> str:
    """Return the text with its signs escaped: a file may be called like a link or an element."""
    return _SIGNS.sub(r"\\\g<0>", visible(text))
