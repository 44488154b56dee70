"""What a scan comes to, by exact values: its status, its row, the choice among several heads."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from hcmodel.flags import Flag
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.measurement import Measurement
from hcmodel.plane import Plane
from worker.errors import FileDamaged, HcBatchError, OtherAnatomy, ScanFailed, ServiceUnavailable
from worker.exam import Exam
from worker.measuring.conclusion import RegionHead, about, conclude, refusal
from worker.result import (
    FileIdentity,
    HeadEllipse,
    HeadPlane,
    HeadSizes,
    PixelOrigin,
    Result,
    Scale,
    Status,
)
from worker.scan import Box, Region, Scan

SPACING = Spacing(row_mm=0.2, column_mm=0.25)
WHOLE = Region(Box(0, 0, 800, 540), SPACING, "pixel-spacing")
LEFT = Region(Box(0, 10, 400, 540), SPACING, "us-region", 0, 0.025, -0.02)
RIGHT = Region(Box(400, 10, 800, 540), SPACING, "us-region", 2, 0.025, 0.02)
HEAD = Measurement(
    ellipse=Ellipse(200.5, 270.25, 150, 120, 0.3),
    hc_mm=190.0,
    hc_low_mm=187.0,
    hc_high_mm=193.5,
    bpd_mm=54.0,
    ofd_mm=66.0,
    confidence=0.875,
    flags=(),
    plane=Plane.TRANS_THALAMIC,
    plane_confidence=0.75,
)


def scan(*regions: Region, flags: tuple[str, ...] = ()) -> Scan:
    return Scan(
        np.zeros((540, 800), np.uint8),
        regions,
        frame=0,
        frames=1,
        decoder="pillow",
        sha256="abc",
        sop_instance_uid="1.2.3",
        study_instance_uid="1.2",
        flags=flags,
    )


def at(x_px: float, confidence: float = 0.875, **changes: object) -> Measurement:
    ellipse = replace(HEAD.ellipse, center_x_px=x_px)
    return replace(HEAD, ellipse=ellipse, confidence=confidence, **changes)  # type: ignore[arg-type]


def concluded(seen: Scan, *heads: tuple[Region, Measurement], any_plane: bool = False) -> Result:
    found = [RegionHead(region, head) for region, head in heads]
    return conclude(seen, found, "model-1", "hadlock-1984", any_plane=any_plane)


def test_a_trusted_head_is_measured_with_all_that_is_known_of_it() -> None:
    assert concluded(scan(LEFT, RIGHT), (LEFT, HEAD)) == Result(
        status=Status.MEASURED,
        model="model-1",
        code=None,
        message=None,
        sizes=HeadSizes(
            hc_mm=190.0,
            hc_low_mm=187.0,
            hc_high_mm=193.5,
            bpd_mm=54.0,
            ofd_mm=66.0,
            ga_weeks=8.96 + 0.540 * 19 + 0.0003 * 19**3,
            ga_formula="hadlock-1984",
        ),
        scale=Scale(row_mm=0.2, column_mm=0.25, spacing_source="us-region"),
        ellipse=HeadEllipse(200.5, 270.25, 150, 120, 0.3, 0.875, ()),
        file=FileIdentity("1.2.3", "1.2", "abc"),
        origin=PixelOrigin("pillow", 0, "0,10,400,540", 0.025, -0.02, 540, 800),
        head_plane=HeadPlane("trans-thalamic", 0.75, "gate"),
    )


@pytest.mark.parametrize(
    ("flags", "of_region", "of_head"),
    [
        (("window-unusable",), (), ()),
        ((), ("spacing-implausible",), ()),
        ((), (), (Flag.WEAK_FIT,)),
        (("a", "b"), ("b", "c"), (Flag.WEAK_FIT, Flag.CUT_BY_BORDER)),
    ],
)
def test_whatever_is_flagged_makes_the_row_flagged(
    flags: tuple[str, ...], of_region: tuple[str, ...], of_head: tuple[Flag, ...]
) -> None:
    region = replace(WHOLE, flags=of_region)
    row = concluded(scan(region, flags=flags), (region, replace(HEAD, flags=of_head)))
    assert row.status is Status.FLAGGED
    assert row.ellipse.flags == tuple(dict.fromkeys((*flags, *of_region, *of_head)))
    assert (row.sizes.hc_mm, row.code, row.message) == (190.0, None, None)


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_heads_the_most_confident_counts_and_another_elsewhere_is_told(
    order: int,
) -> None:
    heads = [(LEFT, at(200, 0.5)), (RIGHT, at(600, 0.9))][::order]
    row = concluded(scan(LEFT, RIGHT), *heads)
    assert row.origin.region_index == 2
    assert (row.status, row.ellipse.flags) == (Status.FLAGGED, (Flag.SEVERAL_HEADS,))


@pytest.mark.parametrize("order", [1, -1])
def test_the_same_head_seen_twice_is_one(order: int) -> None:
    """Up to its own semi-axis, 150 px, away: the regions overlap."""
    for apart_px, flags in ((0, ()), (150, ()), (150.001, (Flag.SEVERAL_HEADS,))):
        heads = [(WHOLE, at(300, 0.9)), (WHOLE, at(300 + apart_px, 0.5))][::order]
        row = concluded(scan(WHOLE), *heads)
        assert row.ellipse.flags == flags
        assert row.ellipse.center_x_px == 300
    above = replace(HEAD.ellipse, center_y_px=HEAD.ellipse.center_y_px - 151)
    row = concluded(scan(WHOLE), (WHOLE, HEAD), (WHOLE, replace(HEAD, ellipse=above, confidence=0)))
    assert row.ellipse.flags == (Flag.SEVERAL_HEADS,)


@pytest.mark.parametrize("order", [1, -1])
def test_a_head_counts_before_another_body_part(order: int) -> None:
    body = at(600, 0.99, is_no_head=True, plane=Plane.ABDOMEN)
    heads = [(LEFT, at(200, 0.1)), (RIGHT, body)][::order]
    row = concluded(scan(LEFT, RIGHT), *heads)
    assert (row.origin.region_index, row.ellipse.confidence) == (0, 0.1)
    assert row.status is Status.FLAGGED


@pytest.mark.parametrize(
    ("plane", "words"),
    [
        (Plane.ABDOMEN, "a fetal abdomen"),
        (Plane.THORAX, "a fetal thorax"),
        (Plane.FEMUR, "a fetal femur"),
        (Plane.NOTHING, ""),
    ],
)
def test_another_body_part_is_refused_and_keeps_what_was_seen(plane: Plane, words: str) -> None:
    row = concluded(scan(WHOLE), (WHOLE, replace(HEAD, is_no_head=True, plane=plane)))
    assert (row.status, row.code) == (Status.REJECTED, "other-anatomy")
    assert ("seems to be" in str(row.message)) == bool(words)
    assert words in str(row.message)
    assert row.sizes == HeadSizes()
    assert (row.ellipse.center_x_px, row.ellipse.confidence) == (200.5, 0.875)
    assert row.head_plane == HeadPlane(plane, 0.75, "gate")


def test_without_a_scale_there_is_no_hc_whether_a_head_is_there_or_not() -> None:
    bare = replace(WHOLE, spacing=None, spacing_source=None)
    for heads in ((), ((bare, replace(HEAD, hc_mm=None)),)):
        row = concluded(scan(bare), *heads)
        assert (row.status, row.code) == (Status.REJECTED, "spacing-unknown")
        assert row.sizes.hc_mm is None
        assert row.scale == Scale()
    assert row.ellipse.center_x_px == 200.5
    # Another part of the image has one: what is missing is the head.
    assert concluded(scan(bare, RIGHT)).code == "no-head"
    body = replace(HEAD, is_no_head=True, plane=Plane.FEMUR)
    assert concluded(scan(bare), (bare, body)).code == "other-anatomy"


def test_no_head_is_told_with_the_scale_where_it_is_beyond_doubt() -> None:
    only = concluded(scan(LEFT))
    assert (only.status, only.code, only.ellipse) == (Status.REJECTED, "no-head", HeadEllipse())
    assert only.scale == Scale(0.2, 0.25, "us-region")
    assert only.origin == PixelOrigin("pillow", 0, "0,10,400,540", 0.025, -0.02, 540, 800)
    same = concluded(scan(LEFT, RIGHT))
    assert same.scale == Scale(0.2, 0.25, "us-region")
    twice = concluded(scan(LEFT, replace(RIGHT, spacing_source="manual")))
    assert twice.scale == Scale(0.2, 0.25, "us-region"), "by the first that says so"
    assert same.origin == PixelOrigin("pillow", rows=540, columns=800)
    other = replace(RIGHT, spacing=Spacing(0.3, 0.3))
    assert concluded(scan(LEFT, other)).scale == Scale()


def test_a_head_that_no_region_holds_is_refused_after_the_network() -> None:
    outside = concluded(scan(LEFT), (LEFT, at(300)))
    assert (outside.status, outside.code) == (Status.REJECTED, "head-outside-region")
    assert outside.sizes == HeadSizes()
    assert outside.ellipse.center_x_px == 300
    larger = replace(LEFT, box=Box(0, 0, 800, 540), spacing=Spacing(0.3, 0.3), index=1)
    ambiguous = concluded(scan(LEFT, larger), (LEFT, HEAD))
    assert (ambiguous.status, ambiguous.code) == (Status.REJECTED, "ambiguous-regions")
    contradicted = replace(LEFT, contradicted_by=Spacing(0.3, 0.3))
    row = concluded(scan(contradicted), (contradicted, HEAD))
    assert (row.status, row.code) == (Status.REJECTED, "spacing-conflict")


def test_the_flags_are_those_of_the_region_that_holds_the_head() -> None:
    doubtful = replace(LEFT, flags=("spacing-implausible",))
    larger = replace(doubtful, box=Box(0, 0, 800, 540), index=1, flags=("pixel-aspect-differs",))
    row = concluded(scan(doubtful, larger), (larger, at(400)))
    assert row.ellipse.flags == ("pixel-aspect-differs",)


def test_a_formula_stands_alone_where_hc_is_outside_its_range() -> None:
    small = concluded(scan(WHOLE), (WHOLE, replace(HEAD, hc_mm=60.0)))
    assert (small.sizes.hc_mm, small.sizes.ga_weeks) == (60.0, None)
    assert small.sizes.ga_formula == "hadlock-1984"
    found = [RegionHead(WHOLE, replace(HEAD, hc_mm=60.0))]
    other = conclude(scan(WHOLE), found, "model-1", "intergrowth-2016")
    assert other.sizes.ga_formula == "intergrowth-2016"
    assert other.sizes.ga_weeks == pytest.approx(10.82, abs=0.01)


def test_whose_word_the_plane_is() -> None:
    unknown = replace(HEAD, plane=None, plane_confidence=None)
    sources = [
        concluded(scan(WHOLE), (WHOLE, head), any_plane=any_plane).head_plane.plane_source
        for head in (HEAD, unknown)
        for any_plane in (False, True)
    ]
    assert sources == ["gate", "manual", None, "manual"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (FileDamaged("its end"), Status.REJECTED),
        (ScanFailed("KeyError"), Status.FAILED),
        (HcBatchError("x"), Status.REJECTED),
        (ServiceUnavailable("x"), Status.REJECTED),
    ],
)
def test_a_refusal_has_its_code_and_words(error: HcBatchError, status: Status) -> None:
    assert refusal(error, "model-1") == Result(status, "model-1", error.code, str(error))


def test_what_the_file_alone_tells() -> None:
    assert about(scan(LEFT), "model-1") == Result(
        Status.REJECTED,
        "model-1",
        file=FileIdentity("1.2.3", "1.2", "abc"),
        origin=PixelOrigin("pillow", rows=540, columns=800),
    )


def test_what_is_known_of_the_exam_stands_in_every_row() -> None:
    exam = Exam(date(2026, 1, 31), "a1", "1.2.4", "ACME Sonic", "3.1")
    seen = replace(scan(WHOLE), exam=exam)
    body = replace(HEAD, is_no_head=True, plane=Plane.FEMUR)
    rows = [concluded(seen, *((WHOLE, head) for head in heads)) for heads in ((), (HEAD,), (body,))]
    assert [row.exam for row in (*rows, about(seen, "model-1"))] == [exam] * 4


def test_without_hc_no_formula_is_named() -> None:
    bare = replace(HEAD, hc_mm=None, hc_low_mm=None, hc_high_mm=None, bpd_mm=None, ofd_mm=None)
    assert concluded(scan(WHOLE), (WHOLE, bare)).sizes == HeadSizes()


def test_a_person_vouches_only_where_it_is_said() -> None:
    found = [RegionHead(WHOLE, HEAD)]
    assert conclude(scan(WHOLE), found, "model-1", "hadlock-1984").head_plane.plane_source == "gate"


def test_what_is_no_body_part_is_refused_in_the_plain_words() -> None:
    row = concluded(scan(WHOLE), (WHOLE, replace(HEAD, is_no_head=True, plane=Plane.NOTHING)))
    assert row.message == str(OtherAnatomy())
