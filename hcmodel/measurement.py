"""HC of one image: the network's map, the ellipse, and the judgement, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from hcmodel.flags import Flag
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.head import Head
from hcmodel.plane import Gate, Plane, PlaneOdds
from hcmodel.quality import confidence, judge, quality_features
from hcmodel.uncertainty import ErrorModel


@dataclass(frozen=True, slots=True)
class Measurement:
    """A head in one image; millimetres are ``None`` where the image has no scale.

    ``hc_low_mm`` to ``hc_high_mm`` is the 90 % interval of HC. BPD and OFD are the ellipse's full
    axes, outer border to outer border. ``plane`` is what the outline seems to be around, with the
    probability ``plane_confidence`` that it is of the kind: a plane for HC, another plane of a
    head, no head. ``is_no_head``: the gate refuses it. All without a gate are unknown.
    """

    ellipse: Ellipse
    hc_mm: float | None
    hc_low_mm: float | None
    hc_high_mm: float | None
    bpd_mm: float | None
    ofd_mm: float | None
    confidence: float
    flags: tuple[Flag, ...]
    plane: Plane | None = None
    plane_confidence: float | None = None
    is_no_head: bool = False


def measure_head(
    head: Head,
    spacing: Spacing | None,
    error_model: ErrorModel | None,
    gate: Gate | None,
    *,
    any_plane: bool = False,
) -> Measurement:
    """Return a head in millimetres, judged.

    ``any_plane``: a person vouches for head and plane; what the gate says is told, not heeded.
    """
    ellipse, odds = head.ellipse, head.odds
    flags = judge(head, spacing, error_model)
    if not any_plane:
        flags += (Flag.PLANE_UNSURE,) if gate is None or odds is None else gate.flags(odds)
    plane, plane_confidence = _told(odds, gate)
    hc_mm = bpd_mm = ofd_mm = low_mm = high_mm = None
    if spacing is not None:
        major_mm, minor_mm = ellipse.semi_axes_mm(spacing)
        hc_mm = ellipse.circumference_mm(spacing)
        ofd_mm, bpd_mm = 2 * major_mm, 2 * minor_mm
        if error_model is not None:
            half_mm = error_model.half_width_mm(quality_features(head, spacing))
            low_mm, high_mm = hc_mm - half_mm, hc_mm + half_mm
    return Measurement(
        ellipse=ellipse,
        hc_mm=hc_mm,
        hc_low_mm=low_mm,
        hc_high_mm=high_mm,
        bpd_mm=bpd_mm,
        ofd_mm=ofd_mm,
        confidence=confidence(head, spacing, error_model),
        flags=flags,
        plane=plane,
        plane_confidence=plane_confidence,
        is_no_head=bool(gate and odds and not any_plane and gate.is_no_head(odds)),
    )


def _told(odds: PlaneOdds | None, gate: Gate | None) -> tuple[Plane | None, float | None]:
    """Return the plane that a row tells, and the probability that it is of that kind."""
    if odds is None or gate is None:
        return None, None
    planes = gate.told(odds)
    return odds.likeliest(planes), min(1.0, odds.of(planes))
