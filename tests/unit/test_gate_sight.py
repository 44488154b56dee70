"""What the gate looks at is found where its answer comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from hcmodel.arrays import GreyImage
from hcmodel.dataset.planes import PLANES, PlaneImage
from hcmodel.evaluation.gate_sight import PATCH_PX, Sight, Tell, occluded, sight_table, sights
from hcmodel.evaluation.metrics import Case
from hcmodel.evaluation.planes import PlaneCase
from hcmodel.evaluation.report import report_page
from hcmodel.gate import COLUMNS, ROWS
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.plane import PLANES as TOLD
from hcmodel.plane import Plane, PlaneOdds

CORNER = np.s_[:, :PATCH_PX, :PATCH_PX]
MIDDLE = np.s_[:, 36:44, 48:56]
HEAD = Ellipse(200, 150, 100, 80, 0.0)


def odds(sure: float, plane: Plane) -> PlaneOdds:
    rest = (1 - sure) / (len(TOLD) - 1)
    return PlaneOdds(tuple(sure if each == plane else rest for each in TOLD))


def reads_corner(crops: GreyImage, axis_ratios: Sequence[float]) -> list[PlaneOdds]:
    """Tell an abdomen by what is burned into a corner, as nobody should."""
    assert len(crops) == len(axis_ratios)
    return [odds(0.2 + 0.7 * bright, Plane.ABDOMEN) for bright in crops[CORNER].mean((1, 2)) / 255]


def reads_middle(crops: GreyImage, axis_ratios: Sequence[float]) -> list[PlaneOdds]:
    return [odds(0.2 + 0.7 * bright, Plane.ABDOMEN) for bright in crops[MIDDLE].mean((1, 2)) / 255]


@pytest.fixture
def crop() -> GreyImage:
    pixels = np.random.default_rng(0).integers(0, 60, (ROWS, COLUMNS), np.uint8)
    pixels[CORNER[1:]] = pixels[MIDDLE[1:]] = 255
    return pixels


def test_heat_is_where_the_answer_comes_from(crop: GreyImage) -> None:
    untouched = crop.copy()
    told, heat = occluded(crop, 0.8, reads_corner)
    assert (crop == untouched).all()
    assert (told.plane, told.confidence) == (Plane.ABDOMEN, pytest.approx(0.9 + 3 * 0.1 / 6))
    assert heat.shape == (ROWS, COLUMNS)
    assert heat[0, 0] == heat.max()
    beyond_all_patches = np.ones_like(heat, bool)
    beyond_all_patches[: 2 * PATCH_PX, : 2 * PATCH_PX] = False
    assert not heat[beyond_all_patches].any()
    # Hidden whole, the corner has the mean grey; half of what the abdomen loses goes to the heads.
    assert heat.max() == pytest.approx(0.35 * (1 - round(crop.mean()) / 255))


def test_what_hides_the_truth_is_no_heat() -> None:
    """Where a patch makes the gate surer, nothing of its answer comes from."""
    black = np.zeros((ROWS, COLUMNS), np.uint8)
    black[-20:] = 255
    assert not occluded(black, 0.8, reads_corner)[1].any()


@pytest.mark.parametrize(
    ("tell", "where"), [(reads_corner, "outside, %"), (reads_middle, "inside the outline, %")]
)
def test_the_table_tells_what_decides(crop: GreyImage, tell: Tell, where: str) -> None:
    told, heat = occluded(crop, 0.8, tell)
    _, headings, rows = sight_table([Sight("a", "abdomen", "abdomen", told, 0.8, crop, heat)])
    heated, area = (dict(zip(headings, row, strict=True)) for row in rows)
    assert (heated["group"], heated["images"]) == ("abdomen", "1")
    assert heated[where] == "100"
    shares = [float(area[name]) for name in headings[2:5]]
    # An ellipse of 0.85 of the semi-axes 36 and 28.8 px, and what is within 1.15 of them.
    assert shares == pytest.approx([28.3, 23.5, 48.3], abs=1)


def reads_grey(crops: GreyImage, axis_ratios: Sequence[float]) -> list[PlaneOdds]:
    """Tell the plane whose number, times 30, the middle is nearest to in grey."""
    numbers = (crops[MIDDLE].mean((1, 2)) / 30).round().astype(int)
    return [odds(0.9, TOLD[number]) for number in numbers]


def test_some_right_answers_of_each_group_are_shown(tmp_path: Path) -> None:
    def painted(name: str, plane: str) -> Path:
        path = tmp_path / name
        cv2.imwrite(str(path), np.full((300, 400), 30 * TOLD.index(Plane(plane)), np.uint8))
        return path

    taken = dict.fromkeys(PLANES, "abdomen") | {
        **{plane: plane for plane in ("trans-thalamic", "abdomen", "femur")},
        **dict.fromkeys(("trans-cerebellar", "other-head"), "other-head"),
    }
    cases = [
        PlaneCase(
            PlaneImage(painted(f"{plane}-{number}.png", told), plane, f"P{number}", "One"),
            *(told, 0.9, HEAD, 180.0, (), None),
        )
        for plane, told in taken.items()
        for number in range(3 if plane != "abdomen" else 50)
    ]
    labelled = {
        painted(f"{told}.png", told): Case(
            *("a", "a", (300, 400), Spacing(0.2, 0.2), HEAD, 180.0, HEAD, 180.0),
            *(None, None, 0.9, (), None),
        )
        for told in ("trans-thalamic", "abdomen")
    }
    seen = list(sights(cases, labelled, "here", reads_grey))
    right = {"plane for HC": 3, "other head": 6, "abdomen": 17, "femur": 3, "here": 1}
    assert Counter(sight.group for sight in seen) == right
    assert seen[0].picture().shape == (2 * ROWS, 4 * COLUMNS, 3)
    page = report_page([], [], {}, [], seen)
    assert page.count("data:image/jpeg") == 9
    assert "abdomen-3.png: abdomen, taken for abdomen at 0.95" in page
