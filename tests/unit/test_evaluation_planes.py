from pathlib import Path

import cv2
import numpy as np
import pytest

from hcmodel.dataset.planes import PlaneImage
from hcmodel.evaluation.metrics import Case
from hcmodel.evaluation.planes import (
    LOST_PERCENT,
    PlaneCase,
    head_curve,
    measured_bodies,
    plane_curve,
    plane_figures,
    plane_tables,
    refused_heads,
)
from hcmodel.evaluation.report import report_page
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.html_page import Table

HEAD = Ellipse(60, 40, 30, 24, 0.2)


def case(
    plane: str,
    told: str | None,
    sure: float | None,
    *flags: str,
    code: str | None = None,
    hc_mm: float = 180,
    machine: str = "One",
    path: Path = Path("image.jpg"),
) -> PlaneCase:
    image = PlaneImage(path, plane, "P", machine)
    return PlaneCase(
        image=image,
        told_plane=told,
        plane_confidence=sure,
        ellipse=HEAD if told else None,
        hc_mm=None if code else hc_mm,
        flags=flags,
        code=code,
    )


CASES = [
    case("trans-thalamic", "trans-thalamic", 0.99),
    case("trans-thalamic", "trans-ventricular", 0.8, "cut-by-border", hc_mm=270),
    case("trans-ventricular", "trans-ventricular", 0.6, "plane-unsure", "weak-fit", machine="Two"),
    case("trans-ventricular", "abdomen", 0.9, code="other-anatomy", machine="Two"),
    case("trans-cerebellar", "other-head", 0.7, "not-hc-plane"),
    case("other-head", "trans-thalamic", 0.7),
    case("abdomen", "abdomen", 0.95, code="other-anatomy"),
    case("abdomen", "trans-thalamic", 0.65),
    case("thorax", None, None, code="no-head"),
    case("femur", None, None, code="file-damaged"),
]


def rows_of(table: Table) -> dict[str, list[str]]:
    return {f"{row[0]} {row[1]}": list(row[2:]) for row in table[2]}


def test_images_are_counted_by_plane_hospital_and_outcome() -> None:
    outcomes, machines, _, _ = plane_tables(CASES, "there", 0, {})
    assert outcomes[0] == "Images by plane and hospital"
    assert list(outcomes[1][2:]) == [
        *("images", "measured", "flagged for plane", "flagged otherwise"),
        *("refused by gate", "no head", "refused otherwise"),
    ]
    none, one, half, whole = "0 (0.0 %)", "1 (25.0 %)", "1 (50.0 %)", "1 (100.0 %)"
    assert rows_of(outcomes) == {
        "trans-thalamic there": ["2", half, none, half, none, none, none],
        "trans-ventricular there": ["2", none, half, none, half, none, none],
        "trans-cerebellar there": ["1", none, whole, none, none, none, none],
        "other-head there": ["1", whole, none, none, none, none, none],
        "abdomen there": ["2", half, none, none, half, none, none],
        "thorax there": ["1", none, none, none, none, whole, none],
        "femur there": ["1", none, none, none, none, none, whole],
        "bodies there": ["4", one, none, none, one, one, one],
        "heads for HC there": ["4", one, one, one, one, none, none],
        "other heads there": ["2", half, half, none, none, none, none],
        "late heads for HC there": ["1", none, none, whole, none, none, none],
    }
    in_plane = [row for row in machines[2] if row[0] == "heads for HC"]
    assert [row[1:4] for row in in_plane] == [("One", "2", half), ("Two", "2", none)]


def test_labelled_heads_of_another_hospital_stand_beside() -> None:
    def head(truth_mm: float, *flags: str, code: str | None = None) -> Case:
        hc_mm = None if code else truth_mm
        truth = Ellipse(200, 150, 100, 80, 0.3)
        return Case(
            *("a", "a", (300, 400), Spacing(0.2, 0.2), truth, truth_mm, truth, hc_mm),
            *(None, None, 0.9, flags, code),
        )

    heads = [head(180), head(300), head(300, "low-confidence"), head(180, code="no-head")]
    title, _, rows = plane_tables(CASES, "there", 3, {"here": heads})[0]
    assert title.endswith("trained on patients of 3 of these images")
    half, none = "2 (50.0 %)", "0 (0.0 %)"
    assert [row[:6] for row in rows if row[1] == "here"] == [
        ("heads for HC", "here", "4", half, none, "1 (25.0 %)"),
        ("late heads for HC", "here", "2", "1 (50.0 %)", none, "1 (50.0 %)"),
    ]


def test_what_the_gate_takes_planes_for_is_counted() -> None:
    _, headings, rows = plane_tables(CASES, "there", 0, {})[2]
    assert headings == (
        *("plane", "abdomen", "other-head", "trans-thalamic", "trans-ventricular", "not asked"),
    )
    assert rows[:2] == [
        ("trans-thalamic", "0", "0", "1", "1", "0"),
        ("trans-ventricular", "1", "0", "0", "1", "0"),
    ]
    assert rows[-1] == ("femur", "0", "0", "0", "0", "1")


def test_the_risk_curve_is_that_of_the_whole_path() -> None:
    """Bodies without an outline are let through nowhere, at whatever the gate is set to."""
    lost, through = head_curve(CASES)
    # Heads pass with 0.1, 0.6, 0.7, 0.7, 0.8, 0.99, bodies with 0.05, 0.65 and never.
    assert lost == pytest.approx(np.array([0, 0, 1, 2, 2, 4, 5, 6]) * 100 / 6)
    assert through == pytest.approx([50, 25, 25, 25, 0, 0, 0, 0])
    lost, through = plane_curve(CASES)
    # Heads for HC pass with 0.1, 0.6, 0.8, 0.99, others with 0.3 and 0.7.
    assert lost == pytest.approx([0, 25, 25, 50, 50, 75, 100])
    assert through == pytest.approx([100, 100, 50, 50, 0, 0, 0])
    risks = plane_tables(CASES, "there", 0, {})[3]
    assert risks[2] == [(f"{limit:.1f}", "25.0", "100.0") for limit in LOST_PERCENT]


def test_what_is_lost_without_the_gate_has_no_share_below() -> None:
    cases = [*CASES, case("trans-thalamic", None, None, code="no-head")]
    assert head_curve(cases)[0][0] == pytest.approx(100 / 7)
    assert {row[1:] for row in plane_tables(cases, "there", 0, {})[3][2]} == {("", "")}
    assert head_curve(CASES[:4])[0].size == 0


def test_without_a_gate_all_heads_found_pass_and_nothing_is_drawn_of_it() -> None:
    cases = [case("abdomen", None, None), case("trans-thalamic", None, None, "plane-unsure")]
    outcomes, machines = plane_tables(cases, "there", 0, {})
    assert rows_of(outcomes)["bodies there"][:2] == ["1", "1 (100.0 %)"]
    assert len(machines[2]) == 2
    lost, through = head_curve(cases)
    assert (lost.tolist(), through.tolist()) == ([0], [100])


def test_the_card_keeps_few_figures() -> None:
    assert plane_figures(CASES) == {
        "unseen images by plane": 10,
        "bodies measured %": 25.0,
        "bodies flagged %": 0.0,
        "heads for HC measured %": 25.0,
        "heads for HC refused %": 25.0,
        "other heads measured %": 50.0,
        "other heads refused %": 0.0,
        "late heads for HC flagged %": 100.0,
    }
    assert plane_figures(CASES[-1:])["heads for HC measured %"] is None
    assert plane_figures([]) == {}


def test_the_worst_are_found_and_shown(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), np.full((80, 120), 60, np.uint8))
    bodies = [
        case("abdomen", "trans-thalamic", sure, path=path.with_name(f"{sure}.png"))
        for sure in (0.7, 0.9)
    ]
    bodies.append(case("femur", "trans-thalamic", 0.95, "plane-unsure", path=path))
    heads = [
        case("trans-thalamic", "abdomen", 0.8, code="other-anatomy", path=path),
        case("trans-thalamic", None, None, code="no-head", path=path),
        case("other-head", None, None, code="no-head", path=path),
    ]
    assert [each.plane_confidence for each in measured_bodies([*bodies, *heads])] == [0.9, 0.7]
    assert [each.code for each in refused_heads([*bodies, *heads])] == ["no-head", "other-anatomy"]
    for body in bodies[:2]:
        cv2.imwrite(str(body.image.image_path), np.full((80, 120), 60, np.uint8))
    page = report_page([], [], {}, [*bodies, *heads], [])
    assert page.count("data:image/jpeg") == 4
    assert page.count("data:image/png") == 1
    assert "0.9.png: abdomen, taken for trans-thalamic at 0.90" in page
    assert "image.png: trans-thalamic no-head" in page
