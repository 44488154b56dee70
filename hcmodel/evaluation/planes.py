"""How weights judge images by plane: what became of each, and what their gate's sureness costs.

Heads for HC, in a plane for it, are wanted as measured, other heads as flagged, bodies (abdomen,
thorax, femur) as refused.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from hcmodel.arrays import FloatArray
from hcmodel.dataset.planes import BODIES, FOR_HC, OTHER_HEADS, PLANES, PlaneImage
from hcmodel.evaluation.metrics import Case
from hcmodel.flags import Flag
from hcmodel.geometry import Ellipse
from hcmodel.html_page import Table

GATE_FLAGS = frozenset({Flag.NOT_HC_PLANE, Flag.PLANE_UNSURE})
GATE_CODE, NO_HEAD_CODE = "other-anatomy", "no-head"
LATE_HC_MM = 260.0
"""About 28 weeks."""
LOST_PERCENT = (0.1, 0.3, 0.5, 1.0, 2.0, 5.0)
"""Of the wanted, where the risk table has its lines."""

_BODIES, _HEADS_FOR_HC, _OTHER_HEADS = "bodies", "heads for HC", "other heads"
_LATE_HEADS = "late heads for HC"


@dataclass(frozen=True, slots=True)
class PlaneCase:
    """One image of a known plane and its answer.

    ``told_plane`` is the gate's word on what ``ellipse`` is around, ``plane_confidence`` its
    probability that the kind is right: a plane for HC, another plane of a head, no head. Both are
    ``None`` where it was not asked.
    """

    image: PlaneImage
    told_plane: str | None
    plane_confidence: float | None
    ellipse: Ellipse | None
    hc_mm: float | None
    flags: tuple[str, ...]
    code: str | None

    def sureness(self, planes: Collection[str]) -> float:
        """Return the probability that this is one of ``planes``, as far as the kind told says.

        At least so much where that is one of them, at most so much otherwise. Where the gate was
        not asked it is infinite for an HC, which always passes, and minus that for none.
        """
        if self.told_plane is None:
            return math.inf if self.hc_mm is not None else -math.inf
        sure = self.plane_confidence or 0.0
        return sure if self.told_plane in planes else 1 - sure


class Outcome(StrEnum):
    """What becomes of an image, and by whose word."""

    MEASURED = "measured"
    FLAGGED_BY_GATE = "flagged for plane"
    FLAGGED = "flagged otherwise"
    REFUSED_BY_GATE = "refused by gate"
    NO_HEAD = "no head"
    REFUSED = "refused otherwise"

    @classmethod
    def of(cls, answer: Case | PlaneCase) -> Outcome:
        """Return that of one image; among its flags the gate's count first."""
        if answer.code is None:
            if GATE_FLAGS & set(answer.flags):
                return cls.FLAGGED_BY_GATE
            return cls.FLAGGED if answer.flags else cls.MEASURED
        codes = {GATE_CODE: cls.REFUSED_BY_GATE, NO_HEAD_CODE: cls.NO_HEAD}
        return codes.get(answer.code, cls.REFUSED)


_FLAGGED = (Outcome.FLAGGED_BY_GATE, Outcome.FLAGGED)
_REFUSED = (Outcome.REFUSED_BY_GATE, Outcome.NO_HEAD, Outcome.REFUSED)


def plane_tables(
    cases: Sequence[PlaneCase],
    hospital: str,
    seen: int,
    labelled: Mapping[str, Sequence[Case]],
) -> list[Table]:
    """Return all tables on ``cases`` of one hospital.

    ``seen``: how many of the images are of patients that trained the gate; ``labelled``: heads of
    other hospitals, to stand beside them.
    """
    tables = [_outcomes(cases, hospital, seen, labelled), _machines(cases)]
    if any(case.told_plane is not None for case in cases):
        tables += [_told(cases), _risks(cases)]
    return tables


def plane_figures(cases: Sequence[PlaneCase]) -> dict[str, object]:
    """Return the few figures that a card keeps, in % rounded to 0.01; none without cases."""
    if not cases:
        return {}
    noted: dict[str, object] = {"unseen images by plane": len(cases)}
    for group, outcomes in (
        (_BODIES, {"measured": (Outcome.MEASURED,), "flagged": _FLAGGED}),
        (_HEADS_FOR_HC, {"measured": (Outcome.MEASURED,), "refused": _REFUSED}),
        (_OTHER_HEADS, {"measured": (Outcome.MEASURED,), "refused": _REFUSED}),
        (_LATE_HEADS, {"flagged": _FLAGGED}),
    ):
        found = Counter(map(Outcome.of, _sums(cases).get(group, ())))
        for name, members in outcomes.items():
            count = sum(found[outcome] for outcome in members)
            share = round(100 * count / found.total(), 2) if found else None
            noted[f"{group} {name} %"] = share
    return noted


def risk_curve(
    cases: Sequence[PlaneCase], wanted: Collection[str], unwanted: Collection[str]
) -> tuple[FloatArray, FloatArray]:
    """Return two ``(N,)``: wanted planes lost and unwanted ones let through, in %.

    Each is at N rising thresholds of the gate's sureness that it is one of ``wanted``; what the
    path refuses without the gate is lost at all of them. Empty where there are none of either.
    """
    good, bad = (
        np.sort([case.sureness(wanted) for case in cases if case.image.plane in planes])
        for planes in (wanted, unwanted)
    )
    if not (len(good) and len(bad)):
        return np.empty(0), np.empty(0)
    thresholds = np.unique(np.concatenate([good, bad, [np.inf]]))
    thresholds = thresholds[thresholds > -np.inf]
    lost = 100 * np.searchsorted(good, thresholds) / len(good)
    through = 100 * (1 - np.searchsorted(bad, thresholds) / len(bad))
    return lost, through


def head_curve(cases: Sequence[PlaneCase]) -> tuple[FloatArray, FloatArray]:
    """Return heads lost against bodies let through, as ``risk_curve`` does."""
    return risk_curve(cases, (*FOR_HC, *OTHER_HEADS), BODIES)


def plane_curve(cases: Sequence[PlaneCase]) -> tuple[FloatArray, FloatArray]:
    """Return heads for HC lost against heads in other planes let through, likewise."""
    return risk_curve(cases, FOR_HC, OTHER_HEADS)


def measured_bodies(cases: Sequence[PlaneCase]) -> list[PlaneCase]:
    """Return bodies that came out as measured, the surest head first."""
    found = [case for case in _sums(cases).get(_BODIES, ()) if Outcome.of(case) == Outcome.MEASURED]
    return sorted(found, key=lambda case: -case.sureness((*FOR_HC, *OTHER_HEADS)))


def refused_heads(cases: Sequence[PlaneCase]) -> list[PlaneCase]:
    """Return heads in a plane for HC that were refused, the surest of no head first."""
    found = [case for case in _sums(cases).get(_HEADS_FOR_HC, ()) if Outcome.of(case) in _REFUSED]
    return sorted(found, key=lambda case: case.sureness((*FOR_HC, *OTHER_HEADS)))


def _sums(cases: Sequence[PlaneCase]) -> dict[str, list[PlaneCase]]:
    """Return the planes that are wanted alike, without groups that have no member."""
    groups = {
        name: [case for case in cases if case.image.plane in planes]
        for name, planes in (
            (_BODIES, BODIES),
            (_HEADS_FOR_HC, FOR_HC),
            (_OTHER_HEADS, OTHER_HEADS),
        )
    }
    groups[_LATE_HEADS] = [case for case in groups[_HEADS_FOR_HC] if _is_late(case.hc_mm)]
    return {name: members for name, members in groups.items() if members}


def _is_late(hc_mm: float | None) -> bool:
    return hc_mm is not None and hc_mm > LATE_HC_MM


def _outcomes(
    cases: Sequence[PlaneCase],
    hospital: str,
    seen: int,
    labelled: Mapping[str, Sequence[Case]],
) -> Table:
    title = "Images by plane and hospital"
    if seen:
        title += f"; the gate was trained on patients of {seen} of these images"
    by_plane = {plane: [case for case in cases if case.image.plane == plane] for plane in PLANES}
    rows = [
        _row((name, hospital), members)
        for name, members in {**by_plane, **_sums(cases)}.items()
        if members
    ]
    for other, answers in labelled.items():
        late = [answer for answer in answers if _is_late(answer.truth_hc_mm)]
        rows.append(_row((_HEADS_FOR_HC, other), answers))
        rows += [_row((_LATE_HEADS, other), late)] if late else []
    return title, ("plane", "hospital", "images", *Outcome), rows


def _machines(cases: Sequence[PlaneCase]) -> Table:
    rows = []
    for group, members in _sums(cases).items():
        for machine in sorted({case.image.machine for case in members}):
            by_machine = [case for case in members if case.image.machine == machine]
            rows.append(_row((group, machine), by_machine))
    return "The same by machine", ("group", "machine", "images", *Outcome), rows


def _row(names: tuple[str, ...], answers: Sequence[Case | PlaneCase]) -> tuple[str, ...]:
    found = Counter(map(Outcome.of, answers))
    shares = [f"{found[each]} ({100 * found[each] / len(answers):.1f} %)" for each in Outcome]
    return *names, f"{len(answers)}", *shares


def _told(cases: Sequence[PlaneCase]) -> Table:
    words = sorted({case.told_plane for case in cases if case.told_plane is not None})
    rows = []
    for plane in PLANES:
        found = Counter(case.told_plane for case in cases if case.image.plane == plane)
        if found:
            rows.append((plane, *(f"{found[word]}" for word in (*words, None))))
    return "What the gate takes it for", ("plane", *words, "not asked"), rows


def _risks(cases: Sequence[PlaneCase]) -> Table:
    curves = head_curve(cases), plane_curve(cases)
    rows = [
        (f"{limit:.1f}", *(_let_through(*curve, limit) for curve in curves))
        for limit in LOST_PERCENT
    ]
    headings = (
        "lost at most, %",
        "bodies let through at this loss of heads, %",
        "other heads let through at this loss of heads for HC, %",
    )
    return "What the gate lets through", headings, rows


def _let_through(lost: FloatArray, through: FloatArray, limit: float) -> str:
    """Return the least that is let through within a loss; nothing where more is lost anyway."""
    within = through[lost <= limit]
    return f"{within.min():.1f}" if len(within) else ""
