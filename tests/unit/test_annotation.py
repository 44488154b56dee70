"""What is drawn lies where the head is, in images of any size with pixels of any shape."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hcmodel.annotation import OUTLINE, TONES, Marks, Words, annotated, thumbnail, to_picture
from hcmodel.arrays import ColorImage, FloatArray
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.phantom import random_head
from rig.known_heads import random_phantom

WORDS = Words("HC 1.0 mm", (("plain", "a line"), ("warn", "a flag: " + "word " * 60)), "the end")
SEEDS = range(6)


def is_marked(picture: ColorImage, points: FloatArray, reach_px: int = 1) -> float:
    """Share of the points at which the outline's colour is met, to a pixel."""
    marked = np.abs(picture.astype(int) - OUTLINE).max(axis=2) < 70
    met = 0
    for x, y in np.rint(points).astype(int):
        rows = slice(max(0, y - reach_px), y + reach_px + 1)
        met += bool(marked[rows, max(0, x - reach_px) : x + reach_px + 1].any())
    return met / len(points)


def on_picture(points: FloatArray, image: ColorImage, picture: ColorImage) -> FloatArray:
    """Where points of an image lie after it was resized edge to edge: found here once more."""
    across, down = picture.shape[1] / image.shape[1], picture.shape[0] / image.shape[0]
    return np.asarray((points + 0.5) * (across, down) - 0.5)


def on_ellipse(head: Ellipse, factor: float, turns_rad: FloatArray) -> FloatArray:
    """Points on an ellipse ``factor`` times as large, by the textbook's formula."""
    cos, sin = math.cos(head.angle_rad), math.sin(head.angle_rad)
    along = factor * head.semi_axis_a_px * np.cos(turns_rad)
    athwart = factor * head.semi_axis_b_px * np.sin(turns_rad)
    x = head.center_x_px + along * cos - athwart * sin
    y = head.center_y_px + along * sin + athwart * cos
    return np.stack([x, y], axis=1)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_outline_lies_on_the_head_and_nowhere_else(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels, head, spacing = random_phantom(rng)
    picture = annotated(pixels, Marks(head, spacing), WORDS)
    affine = to_picture(pixels.shape, spacing)
    turns_rad = np.linspace(0, 2 * math.pi, 90, endpoint=False)

    def mapped(factor: float) -> FloatArray:
        return np.asarray(on_ellipse(head, factor, turns_rad) @ affine[:, :2].T + affine[:, 2])

    assert is_marked(picture, mapped(1.0)) > 0.9  # a flat head lies below a caliper's name
    # What is left are calipers, their names and the scale bar.
    assert is_marked(picture, mapped(0.9), reach_px=0) < 0.2
    assert is_marked(picture, mapped(1.08), reach_px=0) < 0.3
    # A mm is as long across as down.
    assert affine[0, 0] / spacing.column_mm == pytest.approx(
        affine[1, 1] / spacing.row_mm, rel=0.01
    )
    assert 640 <= picture.shape[1] <= 2400


@pytest.mark.parametrize("seed", SEEDS)
def test_calipers_are_the_axes_in_millimetres(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    pixels, head, spacing = random_phantom(rng)
    scale = (spacing.column_mm, spacing.row_mm)
    ofd, bpd = (ends * scale for ends in head.diameters_px(spacing))
    lengths_mm = [float(np.hypot(*(ends[1] - ends[0]))) for ends in (ofd, bpd)]
    assert lengths_mm == pytest.approx([2 * half for half in head.semi_axes_mm(spacing)])
    assert (ofd[1] - ofd[0]) @ (bpd[1] - bpd[0]) == pytest.approx(0, abs=1e-6)
    # Nothing on the head is farther from or nearer to its middle.
    radii_mm = np.hypot(*((head.points(720) - head.center_px) * scale).T)
    assert lengths_mm == pytest.approx([2 * radii_mm.max(), 2 * radii_mm.min()], rel=1e-3)
    picture = annotated(pixels, Marks(head, spacing), WORDS)
    affine = to_picture(pixels.shape, spacing)
    ends_px = head.diameters_px(spacing).reshape(4, 2) @ affine[:, :2].T + affine[:, 2]
    assert is_marked(picture, ends_px) >= 0.75  # a name may lie over one, at the border


def test_the_scale_bar_is_as_long_as_it_says() -> None:
    spacing = Spacing(0.31, 0.17)
    black = np.zeros((500, 900), np.uint8)
    picture = annotated(black, Marks(None, spacing), WORDS)
    mm_per_px = spacing.column_mm / to_picture(black.shape, spacing)[0, 0]
    rows = np.abs(picture.astype(int) - OUTLINE).max(axis=2) < 40
    longest_px = max(int(row.sum()) for row in rows)
    # 900 px of 0.17 mm: a quarter is 38 mm, so the bar has 20.
    assert longest_px * mm_per_px == pytest.approx(20, abs=1.0)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_lines_and_letters_stand_out(grey: int) -> None:
    pixels = np.full((300, 400), grey, np.uint8)
    head = Ellipse(200, 150, 110, 80, 0.3)
    picture = annotated(pixels, Marks(head, Spacing(0.2, 0.2)), WORDS)
    affine = to_picture(pixels.shape, Spacing(0.2, 0.2))
    for x, y in np.rint(head.points(40) @ affine[:, :2].T + affine[:, 2]).astype(int):
        around = picture[y - 4 : y + 5, x - 4 : x + 5].reshape(-1, 3)
        lights = sorted(_light(color) for color in around)
        assert (lights[-1] + 0.05) / (lights[0] + 0.05) > 3
    panel = picture[-3, 3]
    for tone in TONES.values():
        assert (_light(np.array(tone)) + 0.05) / (_light(panel) + 0.05) > 7


def _light(color_bgr: FloatArray) -> float:
    """Relative luminance of sRGB as WCAG 2.1 has it."""
    share = np.asarray(color_bgr, float)[::-1] / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("shape", [(1, 1), (2, 3000), (3000, 2), (64, 64), (4000, 5000)])
def test_any_size_of_image_is_drawn(shape: tuple[int, int]) -> None:
    head = Ellipse(shape[1] / 2, shape[0] / 2, max(shape) / 3, max(shape) / 4, 1.0)
    for marks in (Marks(), Marks(head), Marks(head, Spacing(0.6, 0.02), (0, 0, 1, 1))):
        picture = annotated(np.full(shape, 90, np.uint8), marks, WORDS)
        assert 640 <= picture.shape[1] <= 2400
        assert picture.shape[0] < 6000
        assert thumbnail(np.full(shape, 90, np.uint8), marks, 300).shape[1] == 300


@pytest.mark.parametrize("seed", SEEDS)
def test_a_thumbnail_shows_the_region_with_the_head(seed: int) -> None:
    rng = np.random.default_rng(200 + seed)
    shape = (400, 600)
    head = random_head(shape, rng)
    left, top = 37, 51
    screen = np.zeros((600, 900), np.uint8)
    screen[top : top + shape[0], left : left + shape[1]] = 60
    box = (left, top, left + shape[1], top + shape[0])
    moved = Ellipse(
        head.center_x_px + left,
        head.center_y_px + top,
        head.semi_axis_a_px,
        head.semi_axis_b_px,
        head.angle_rad,
    )
    spacing = Spacing(*rng.uniform(0.1, 0.3, 2))
    small = thumbnail(screen, Marks(moved, spacing, box), 320)
    assert small.shape[1] == 320
    assert small.min() < 60  # the seam
    assert np.median(small) == 60
    region = screen[top : top + shape[0], left : left + shape[1]]
    points = on_picture(head.points(90), region, small)
    assert is_marked(small, points) > 0.95
