"""One HC of one head from several images of it, with an interval that narrows as repeats allow.

Pure Python: whoever asks for a table should not wait for arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

SHARED = 0.25
"""Share of an image's error variance that all images of one study have in common: what does not
become less with more of them. Networks that had not seen the exams need 0.26 (docs/studies.md)."""
MOST_APART = 0.25
"""Of HC, from the smallest to the largest of one study: beyond it they are not of one head. In HC18
the labels of one exam are 0.24 apart at most."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """HC of one image in mm, and half of its 90 % interval; ``None`` is unknown."""

    hc_mm: float
    half_width_mm: float | None


@dataclass(frozen=True, slots=True)
class StudyHc:
    """The median of a study's images, all in mm.

    ``sd_mm``: standard deviation of one image, ``None`` of one alone; ``low_mm`` and ``high_mm``:
    the 90 % interval, ``None`` where an image has none.
    """

    hc_mm: float
    images: int
    sd_mm: float | None
    low_mm: float | None
    high_mm: float | None


def combined(repeats: Sequence[Repeat], shared: float = SHARED) -> StudyHc:
    """Return the median of one or more images, with its interval.

    Its half width is the images' mean one, times the root of ``shared + (1 - shared) v``: an
    error's variance has a part that all images share and one of each image, and of the latter the
    median of n keeps ``v``.
    """
    sizes_mm = [each.hc_mm for each in repeats]
    hc_mm = median(sizes_mm)
    sd_mm = stdev(sizes_mm) if len(sizes_mm) > 1 else None
    widths_mm = [each.half_width_mm for each in repeats if each.half_width_mm is not None]
    if len(widths_mm) < len(repeats):
        return StudyHc(hc_mm, len(repeats), sd_mm, None, None)
    half_mm = fmean(widths_mm) * narrowing(len(repeats), shared)
    return StudyHc(hc_mm, len(repeats), sd_mm, hc_mm - half_mm, hc_mm + half_mm)


def narrowing(images: int, shared: float = SHARED) -> float:
    """Return by what factor the interval of one image narrows with several, 1 for one."""
    return math.sqrt(shared + (1 - shared) * _variance_of_median(images))


def needed_share(error_mm: float, half_width_mm: float, images: int) -> float:
    """Return the least ``shared``, 0 to 1, whose interval of several images holds this error.

    ``half_width_mm`` is the images' mean one.
    """
    own = _variance_of_median(images)
    needed = ((error_mm / half_width_mm) ** 2 - own) / (1 - own)
    return min(1.0, max(0.0, needed))


def are_of_one_head(sizes_mm: Sequence[float]) -> bool:
    """Return whether sizes may be those of one head, by ``MOST_APART``."""
    return max(sizes_mm) - min(sizes_mm) <= MOST_APART * median(sizes_mm)


def _variance_of_median(count: int) -> float:
    """Return the variance of the median of normal values of variance 1.

    By pi / (2 n + pi - 2), at most 3 % too small for an odd number and somewhat too large for an
    even one, where the median is a mean of two.
    """
    return math.pi / (2 * count + math.pi - 2)
