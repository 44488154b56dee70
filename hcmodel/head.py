"""A head as every look has found it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hcmodel.ellipse_fit import HeadFit
from hcmodel.geometry import Ellipse, perimeter
from hcmodel.polar import Outline


@dataclass(frozen=True, slots=True)
class Head:
    """What was fitted in the whole image, from near and along the outline, where it was looked."""

    whole: HeadFit
    near: HeadFit | None = None
    outline: Outline | None = None

    @property
    def last(self) -> HeadFit:
        """The last fit to a map: the evidence for and against the head."""
        return self.near or self.whole

    @property
    def ellipse(self) -> Ellipse:
        """What is measured, in px of the original image."""
        return self.outline.ellipse if self.outline else self.last.ellipse

    @property
    def disagreement(self) -> float:
        """Absolute logarithm of the ratio of the circumferences that the two maps gave."""
        return _apart(self.whole.ellipse, self.last.ellipse)

    @property
    def correction(self) -> float:
        """The same of the last map and the outline."""
        return _apart(self.last.ellipse, self.ellipse)


def _apart(first: Ellipse, second: Ellipse) -> float:
    one, other = (perimeter(each.semi_axis_a_px, each.semi_axis_b_px) for each in (first, second))
    return abs(math.log(other / one))
