"""A head as each stage of the cascade has found it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hcmodel.ellipse_fit import HeadFit
from hcmodel.geometry import Ellipse, perimeter
from hcmodel.plane import PlaneOdds
from hcmodel.polar import Contour


@dataclass(frozen=True, slots=True)
class Head:
    """What each stage fitted: in the whole image, zoomed in on the head, along its contour.

    A stage that the network does not have, or that found nothing better, is ``None``. All
    ellipses are proper ones (``Ellipse.is_proper``). ``beyond_share``: share of the measured
    outline that lies where the probe saw nothing. ``is_inverted``, ``is_squeezed``: whether the
    grey around the head is no ultrasound's. ``odds``: what the outline seems to be around, where
    the network has a gate.
    """

    whole: HeadFit
    zoomed: HeadFit | None = None
    contour: Contour | None = None
    beyond_share: float = 0.0
    is_inverted: bool = False
    is_squeezed: bool = False
    odds: PlaneOdds | None = None

    @property
    def last(self) -> HeadFit:
        """The last fit to a map: the evidence for and against the head."""
        return self.zoomed or self.whole

    @property
    def ellipse(self) -> Ellipse:
        """What is measured, in px of the original image."""
        return self.contour.ellipse if self.contour else self.last.ellipse

    @property
    def disagreement(self) -> float:
        """Absolute logarithm of the ratio of the circumferences that the two maps gave."""
        return _apart(self.whole.ellipse, self.last.ellipse)

    @property
    def correction(self) -> float:
        """The same of the last map and the contour; 0 without a contour."""
        return _apart(self.last.ellipse, self.ellipse)


def _apart(first: Ellipse, second: Ellipse) -> float:
    one, other = (perimeter(each.semi_axis_a_px, each.semi_axis_b_px) for each in (first, second))
    return abs(math.log(other / one))
