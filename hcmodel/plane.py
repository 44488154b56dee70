"""Which body part an outline is around, and in which plane: the words, and what they lead to.

HC is taken in the trans-thalamic or the trans-ventricular plane (ISUOG 2022, UOG 60:715). Pure
Python: every command reads a card, and none should load arrays for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hcmodel.flags import Flag


class Plane(StrEnum):
    """What an outline may be around, in the order of the network's answers."""

    TRANS_THALAMIC = "trans-thalamic"
    TRANS_VENTRICULAR = "trans-ventricular"
    OTHER_HEAD = "other-head"
    """A head in another plane: trans-cerebellar or oblique."""
    ABDOMEN = "abdomen"
    THORAX = "thorax"
    FEMUR = "femur"
    NOTHING = "nothing"
    """None of these."""


PLANES = tuple(Plane)
HC_PLANES = (Plane.TRANS_THALAMIC, Plane.TRANS_VENTRICULAR)
OTHER_PLANES = (Plane.OTHER_HEAD,)
NO_HEAD = (Plane.ABDOMEN, Plane.THORAX, Plane.FEMUR, Plane.NOTHING)
_GROUPS = (HC_PLANES, OTHER_PLANES, NO_HEAD)


@dataclass(frozen=True, slots=True)
class PlaneOdds:
    """What the gate says of an outline: a probability for each of ``PLANES``, in their order."""

    probabilities: tuple[float, ...]

    def of(self, planes: Sequence[Plane]) -> float:
        """Return the probability that it is any of these."""
        return sum(self.probabilities[PLANES.index(plane)] for plane in planes)

    @property
    def group(self) -> tuple[Plane, ...]:
        """The likeliest of: a plane for HC, another plane of a head, no head."""
        return max(_GROUPS, key=self.of)

    @property
    def plane(self) -> Plane:
        """The likeliest plane of the likeliest group."""
        return self.likeliest(self.group)

    @property
    def confidence(self) -> float:
        """Probability, 0 to 1, of the likeliest group."""
        return min(1.0, self.of(self.group))

    def likeliest(self, planes: Sequence[Plane]) -> Plane:
        """Return the likeliest of these."""
        return max(planes, key=lambda plane: self.of((plane,)))


@dataclass(frozen=True, slots=True)
class Gate:
    """Probabilities from which on the gate decides; in the weights' card.

    From ``min_no_head`` of no head at all an outline is refused. It passes from ``min_hc_plane``
    of a plane for HC, unless no head has more than ``max_no_head`` or is likelier. In between it
    is flagged: as another plane where the head is likelier there, else as unsure. ``exams`` and
    ``patients`` are those of the images that trained it.

    Raises ``ValueError`` for values that would fail in use.
    """

    min_no_head: float
    min_hc_plane: float
    max_no_head: float
    exams: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("min_no_head", "min_hc_plane", "max_no_head"):
            value = getattr(self, name)
            if not (isinstance(value, float) and 0 < value < 1):
                raise ValueError(f"{name} must be a number between 0 and 1")
        if self.max_no_head >= self.min_no_head:
            raise ValueError("max_no_head must be below min_no_head: what passes is not refused")

    def is_no_head(self, odds: PlaneOdds) -> bool:
        """Return whether another body part, or nothing, is outlined."""
        return odds.of(NO_HEAD) >= self.min_no_head

    def passes(self, odds: PlaneOdds) -> bool:
        """Return whether a head in a plane for HC is outlined."""
        for_hc, no_head = odds.of(HC_PLANES), odds.of(NO_HEAD)
        return for_hc >= self.min_hc_plane and no_head <= min(self.max_no_head, for_hc)

    def told(self, odds: PlaneOdds) -> tuple[Plane, ...]:
        """Return the planes among which a row tells one: those for HC where it passes."""
        return HC_PLANES if self.passes(odds) else odds.group

    def flags(self, odds: PlaneOdds) -> tuple[Flag, ...]:
        """Return why a person must look at the plane of a head; none where it passes."""
        if self.passes(odds):
            return ()
        other_plane = odds.of(OTHER_PLANES) > max(odds.of(HC_PLANES), odds.of(NO_HEAD))
        return (Flag.NOT_HC_PLANE if other_plane else Flag.PLANE_UNSURE,)
