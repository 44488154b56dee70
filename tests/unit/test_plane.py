"""What the gate's odds lead to: refused, flagged by its cause, or passed; and a person's word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hcmodel.ellipse_fit import HeadFit
from hcmodel.flags import Flag
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.head import Head
from hcmodel.measurement import Measurement, measure_head
from hcmodel.plane import HC_PLANES, NO_HEAD, PLANES, Gate, Plane, PlaneOdds
from worker.measuring.conclusion import RegionHead, conclude
from worker.result import Result, Status
from worker.scan import Box, Region, Scan

GATE = Gate(min_no_head=0.7, min_hc_plane=0.4, max_no_head=0.5)
SPACING = Spacing(0.5, 0.5)
HEAD = Head(HeadFit(Ellipse(200, 150, 90, 70, 0), 0.005, 0.0, 1.0, 0.97, 0.9))


def odds(**probabilities: float) -> PlaneOdds:
    """Odds by plane with ``_`` for ``-``; the rest goes to none of them."""
    known = {Plane(name.replace("_", "-")): value for name, value in probabilities.items()}
    rest = 1 - sum(known.values())
    return PlaneOdds((*(known.get(plane, 0.0) for plane in PLANES[:-1]), rest))


def measured(seen: PlaneOdds | None, gate: Gate | None = GATE, **said: bool) -> Measurement:
    return measure_head(replace(HEAD, odds=seen), SPACING, None, gate, **said)


def concluded(*heads: Measurement, any_plane: bool = False) -> Result:
    region = Region(Box(0, 0, 400, 300), SPACING, "manual")
    scan = Scan(np.zeros((300, 400), np.uint8), (region,), 0, 1, "pillow", "0")
    found = [RegionHead(region, head) for head in heads]
    return conclude(scan, found, "model", "hadlock-1984", any_plane=any_plane)


@pytest.mark.parametrize(
    ("seen", "flags", "refused"),
    [
        (odds(trans_thalamic=0.3, trans_ventricular=0.2, other_head=0.4), (), False),
        (odds(trans_thalamic=0.39, other_head=0.45), (Flag.NOT_HC_PLANE,), False),
        (odds(trans_thalamic=0.39, other_head=0.3), (Flag.PLANE_UNSURE,), False),
        (odds(abdomen=0.3, thorax=0.3, trans_thalamic=0.31), (Flag.PLANE_UNSURE,), False),
        (odds(abdomen=0.51, trans_thalamic=0.49), (Flag.PLANE_UNSURE,), False),
        (odds(abdomen=0.49, trans_thalamic=0.51), (), False),
        (odds(abdomen=0.43, trans_thalamic=0.41, other_head=0.16), (Flag.PLANE_UNSURE,), False),
        (odds(abdomen=0.3, thorax=0.3, other_head=0.29), (Flag.PLANE_UNSURE,), True),
    ],
)
def test_odds_decide(seen: PlaneOdds, flags: tuple[Flag, ...], refused: bool) -> None:
    head = measured(seen)
    assert head.flags == flags
    assert head.is_no_head is refused


def test_a_body_is_refused_with_what_it_seems_to_be() -> None:
    row = concluded(measured(odds(abdomen=0.5, femur=0.4)))
    assert (row.status, row.code) == (Status.REJECTED, "other-anatomy")
    assert row.message is not None
    assert "seems to be a fetal abdomen" in row.message
    assert row.sizes.hc_mm is None
    assert (row.head_plane.plane, row.head_plane.plane_source) == ("abdomen", "gate")
    assert row.head_plane.plane_confidence == pytest.approx(1.0)
    assert "seems" not in str(concluded(measured(odds(femur=0.2))).message)


def test_a_person_may_vouch_for_the_plane() -> None:
    row = concluded(measured(odds(abdomen=0.9), any_plane=True), any_plane=True)
    assert row.status is Status.MEASURED
    assert row.sizes.hc_mm is not None
    assert (row.head_plane.plane, row.head_plane.plane_source) == ("abdomen", "manual")


def test_the_head_counts_and_not_the_body_in_the_other_pane() -> None:
    body = replace(measured(odds(abdomen=0.9)), confidence=0.99)
    head = replace(measured(odds(trans_thalamic=0.9)), confidence=0.4)
    for heads in ((body, head), (head, body)):
        row = concluded(*heads)
        assert row.head_plane.plane == "trans-thalamic"
        assert row.status is Status.MEASURED


def test_without_a_gate_every_head_is_unsure() -> None:
    row = concluded(measured(None, gate=None))
    assert (row.status, row.ellipse.flags) == (Status.FLAGGED, (Flag.PLANE_UNSURE,))
    assert row.head_plane.plane is row.head_plane.plane_source is None
    vouched = concluded(measured(None, gate=None, any_plane=True), any_plane=True)
    assert vouched.status is Status.MEASURED
    assert vouched.head_plane.plane_source == "manual"


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_odds_one_thing_follows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    seen = PlaneOdds(tuple(rng.dirichlet(np.full(len(PLANES), 0.4)).tolist()))
    head = measured(seen)
    told = HC_PLANES if head.flags == () else seen.group
    assert head.plane in told
    assert head.plane_confidence == pytest.approx(seen.of(told))
    assert head.is_no_head == (seen.of(NO_HEAD) >= GATE.min_no_head)
    for_hc, no_head = seen.of(HC_PLANES), seen.of(NO_HEAD)
    passes = for_hc >= GATE.min_hc_plane and no_head <= min(GATE.max_no_head, for_hc)
    assert (head.flags == ()) == passes
    assert not (head.is_no_head and head.flags == ())


def test_at_its_limits_the_gate_decides_as_its_card_says() -> None:
    gate = Gate(min_no_head=0.75, min_hc_plane=0.25, max_no_head=0.5)
    refused = odds(abdomen=0.75, trans_thalamic=0.25)
    assert gate.is_no_head(refused)
    assert not gate.is_no_head(odds(abdomen=0.7499, trans_thalamic=0.2501))
    assert gate.passes(odds(trans_thalamic=0.25, abdomen=0.25, other_head=0.5))
    assert not gate.passes(odds(trans_thalamic=0.2499, abdomen=0.2, other_head=0.5501))
    assert gate.passes(odds(trans_thalamic=0.5, abdomen=0.5))
    assert not gate.passes(odds(trans_thalamic=0.4999, abdomen=0.5, other_head=0.0001))
    strict = Gate(min_no_head=0.75, min_hc_plane=0.25, max_no_head=0.25)
    assert strict.passes(odds(trans_thalamic=0.75, abdomen=0.25))
    assert not strict.passes(odds(trans_thalamic=0.7499, abdomen=0.2501))
    even = odds(trans_thalamic=0.125, other_head=0.4375, abdomen=0.4375)
    assert gate.flags(even) == (Flag.PLANE_UNSURE,)


def test_a_head_that_passes_is_told_in_a_plane_for_hc_though_another_is_likelier() -> None:
    seen = odds(trans_thalamic=0.25, trans_ventricular=0.2, other_head=0.55)
    gate = Gate(min_no_head=0.7, min_hc_plane=0.4, max_no_head=0.3)
    assert gate.told(seen) == HC_PLANES
    assert measured(seen, gate).plane is Plane.TRANS_THALAMIC
    assert measured(seen, gate).plane_confidence == pytest.approx(0.45)
    assert gate.told(odds(other_head=0.9)) == (Plane.OTHER_HEAD,)


def test_the_likeliest_group_and_its_probability() -> None:
    for seen, plane, share in (
        (odds(trans_thalamic=0.3, trans_ventricular=0.25, other_head=0.45), "trans-thalamic", 0.55),
        (odds(other_head=0.4, trans_thalamic=0.3, abdomen=0.3), "other-head", 0.4),
        (odds(abdomen=0.2, femur=0.3, trans_ventricular=0.45), "femur", 0.55),
        (odds(trans_thalamic=0.2), "nothing", 0.8),
    ):
        assert seen.plane == plane
        assert seen.confidence == pytest.approx(share)
    assert PlaneOdds((1.0000001, *[0.0] * 6)).confidence == 1.0


def test_the_words_are_those_of_the_rows() -> None:
    assert [str(plane) for plane in PLANES] == [
        *("trans-thalamic", "trans-ventricular", "other-head"),
        *("abdomen", "thorax", "femur", "nothing"),
    ]


@pytest.mark.parametrize(
    "limits",
    [
        (0.0, 0.5, 0.3),
        (0.7, 1.0, 0.3),
        (0.4, 0.5, 0.4),
        ("0.7", 0.5, 0.3),
        (0.7, 0.0, 0.3),
        (0.7, 0.5, 0.0),
        (0.7, 0.5, -0.1),
        (0.7, 0.5, "0.3"),
        (1.0, 0.5, 0.3),
    ],
)
def test_a_gate_that_cannot_decide_is_refused(limits: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="m[inax]+_"):
        Gate(*limits)
