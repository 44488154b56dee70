"""An image on the network's raster: where each pixel lies, what is averaged, the way back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from hcmodel.geometry import Ellipse
from hcmodel.preprocess import (
    Prepared,
    around,
    chained,
    mirror,
    prepare,
    seen_part,
    stretch,
    to_tensor,
    whole_image,
)

SHAPE = (256, 384)


@pytest.mark.parametrize("size", [(540, 800), (768, 1024), (1000, 300), (120, 160), (256, 384)])
@pytest.mark.parametrize("keep_aspect", [True, False])
def test_a_mark_comes_back_to_where_it_was(size: tuple[int, int], keep_aspect: bool) -> None:
    rows, columns = size
    image = np.zeros(size, np.uint8)
    mark_px = np.array([0.62 * columns, 0.37 * rows]).round()
    cv2.circle(image, tuple(map(int, mark_px)), max(6, rows // 30), 255, -1)
    ready = prepare(image, whole_image(size, SHAPE, keep_aspect=keep_aspect), SHAPE)
    moments = cv2.moments(ready.pixels)
    found = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
    back = ready.to_original[:, :2] @ found + ready.to_original[:, 2]
    assert back == pytest.approx(mark_px, abs=0.3)
    assert ready.original_shape == size


def test_the_aspect_is_kept_and_the_rest_is_black() -> None:
    white = np.full((500, 500), 200, np.uint8)
    ready = prepare(white, whole_image(white.shape, SHAPE, keep_aspect=True), SHAPE)
    assert ready.to_network[0, 0] == ready.to_network[1, 1]
    assert (ready.pixels[:, 64:320] == 200).all()
    assert not ready.pixels[:, :64].any()
    assert not ready.pixels[:, 320:].any()


@pytest.mark.parametrize("size_px", [30.0, 60.0, 130.0, 400.0])
def test_heads_of_all_sizes_look_alike_from_near(size_px: float) -> None:
    head = Ellipse(410.0, 260.0, size_px, 0.8 * size_px, 0.0)
    image = (250 * head.coverage((540, 800))).astype(np.uint8)
    ready = prepare(image, around(head, SHAPE), SHAPE)
    seen = head.transformed(ready.to_network)
    assert seen.center_px == pytest.approx([191.5, 127.5])
    assert 2 * seen.semi_axis_b_px == pytest.approx(0.78 * 256, rel=0.02)
    wanted = Ellipse(191.5, 127.5, seen.semi_axis_a_px, seen.semi_axis_b_px, 0.0).coverage(SHAPE)
    if size_px < 200:  # larger ones are cut by the image
        assert np.abs(ready.pixels / 250 - wanted).mean() < 0.02


def test_the_tensor_is_between_0_and_1() -> None:
    tensor = to_tensor(np.array([[[0, 255]]], np.uint8))
    assert tensor.shape == (1, 1, 2, 1)
    assert tensor.ravel().tolist() == [0, 1]


def test_fine_stripes_are_averaged_by_area() -> None:
    """Every other column or row bright: shrunk, both are grey, and nothing aliases."""
    for axis in (0, 1):
        stripes = np.zeros((512, 768), np.uint8)
        stripes[(slice(None, None, 2), slice(None))[:: 1 - 2 * axis]] = 200
        ready = prepare(
            stripes, whole_image(stripes.shape, (128, 192), keep_aspect=True), (128, 192)
        )
        assert np.abs(ready.pixels.astype(int) - 100).max() <= 1


@pytest.mark.parametrize("pixel_aspect", [0.6, 1.0, 1.7])
@pytest.mark.parametrize("keep_aspect", [True, False])
@pytest.mark.parametrize("size", [(540, 800), (700, 500)])
def test_a_ramp_stays_a_ramp(size: tuple[int, int], keep_aspect: bool, pixel_aspect: float) -> None:
    """Linear grey is the same however it is resampled: each pixel shows its place."""
    y_px, x_px = np.mgrid[: size[0], : size[1]]
    ramp = (20 + 200 * (x_px / size[1] + y_px / size[0]) / 2).astype(np.float32)
    to_network = whole_image(size, SHAPE, keep_aspect=keep_aspect, pixel_aspect=pixel_aspect)
    ready = prepare(np.rint(ramp).astype(np.uint8), to_network, SHAPE, pixel_aspect)
    assert ready.pixel_aspect == pixel_aspect
    v_px, u_px = np.mgrid[: SHAPE[0], : SHAPE[1]]
    places = np.stack([u_px.ravel(), v_px.ravel()])
    x_px, y_px = ready.to_original[:, :2] @ places + ready.to_original[:, 2:]
    inside = (x_px > 8) & (x_px < size[1] - 9) & (y_px > 8) & (y_px < size[0] - 9)
    expected = 20 + 200 * (x_px / size[1] + y_px / size[0]) / 2
    off = ready.pixels.ravel()[inside] - expected[inside]
    assert inside.sum() > 5000
    assert np.abs(off).max() < 1.5
    assert abs(off.mean()) < 0.1


@pytest.mark.parametrize("pixel_aspect", [0.5, 2.0])
def test_an_image_has_the_shape_that_it_has_in_mm(pixel_aspect: float) -> None:
    """A circle of the body, flat in pixels, comes out round; and so it does from near."""
    flat = Ellipse(200, 150, 60, 60, 0).transformed(np.array([[1, 0, 0], [0, 1 / pixel_aspect, 0]]))
    size = (round(300 / pixel_aspect), 400)
    for to_network in (
        whole_image(size, SHAPE, keep_aspect=True, pixel_aspect=pixel_aspect),
        around(flat, SHAPE, pixel_aspect),
    ):
        seen = flat.transformed(to_network)
        assert seen.semi_axis_b_px / seen.semi_axis_a_px == pytest.approx(1, abs=0.01)


def test_the_whole_image_fills_one_axis_and_is_in_the_middle_of_the_other() -> None:
    white = np.full((300, 200), 200, np.uint8)  # with pixels twice as high as wide: 600 to 200
    to_network = whole_image(white.shape, SHAPE, keep_aspect=True, pixel_aspect=2.0)
    ready = prepare(white, to_network, SHAPE, 2.0)
    lit = np.flatnonzero(ready.pixels[128] > 100)
    assert (lit[0], lit[-1]) == (149, 233)  # 85 of 384 columns
    assert (ready.pixels[[0, -1], 191] == 200).all()
    wide = prepare(
        np.full((100, 400), 200, np.uint8),
        whole_image((100, 400), SHAPE, keep_aspect=True),
        SHAPE,
    )
    lit = np.flatnonzero(wide.pixels[:, 191] > 100)
    assert (lit[0], lit[-1]) == (80, 175)  # 96 of 256 rows
    assert (wide.pixels[128, [0, -1]] == 200).all()


@pytest.mark.parametrize("size", [(1, 400), (400, 1), (1, 1)])
@pytest.mark.parametrize("keep_aspect", [True, False])
def test_an_image_of_one_line_is_seen(size: tuple[int, int], keep_aspect: bool) -> None:
    white = np.full(size, 200, np.uint8)
    ready = prepare(white, whole_image(size, SHAPE, keep_aspect=keep_aspect), SHAPE)
    assert ready.pixels.shape == SHAPE
    assert ready.pixels.max() >= 199


def test_a_wide_head_fills_the_width_from_near() -> None:
    wide, high = Ellipse(400, 260, 120, 60, 0.0), Ellipse(400, 260, 120, 60, np.pi / 2)
    for head, share in ((wide, 0.72 * 384), (high, 0.78 * 256)):
        seen = head.transformed(around(head, SHAPE))
        assert 2 * seen.semi_axis_a_px == pytest.approx(share)
        assert seen.center_px == pytest.approx([191.5, 127.5])


def test_a_head_in_high_pixels_fills_the_raster_as_it_is_in_mm() -> None:
    # Pixels twice as high as wide: 40 rows are as long as 80 columns.
    head = Ellipse(400, 260, 80, 40, 0.0)
    for aspect, share_px in ((2.0, 0.78 * 256), (1.0, 0.72 * 384 / 2)):
        seen = head.transformed(around(head, SHAPE, aspect))
        _, top, _, bottom = seen.bounding_box_px()
        assert bottom - top == pytest.approx(share_px)
        assert seen.center_px == pytest.approx([191.5, 127.5])


def test_a_mirror_swaps_left_and_right() -> None:
    assert mirror(10) @ [2, 7, 1] == pytest.approx([7, 7])
    assert mirror(10) @ [0, 0, 1] == pytest.approx([9, 0])


def test_maps_of_the_plane_follow_each_other() -> None:
    first, second = np.array([[2.0, 1, 3], [0, 4, 5]]), np.array([[1.0, 0, 7], [6, 1, 8]])
    point = np.array([3.0, 2.0, 1.0])
    assert chained(second, first) @ point == pytest.approx(second @ [*(first @ point), 1])


INSIDE = [(0, 0), (34, 0), (0, 28), (34, 28), (5, 7)]
"""Left and top at which 20x30 pixels lie whole on a raster of 48x64."""


@pytest.mark.parametrize(
    ("left", "top"), [*INSIDE, (-1, 5), (5, -1), (35, 5), (5, 29), (3.25, 2), (3, 2.25)]
)
def test_what_is_only_put_somewhere_is_what_interpolation_makes_of_it(
    left: float, top: float
) -> None:
    pixels = np.random.default_rng(7).integers(0, 256, (20, 30), np.uint8)
    to_network = np.array([[1.0, 0, left], [0, 1, top]])
    shown = prepare(pixels, to_network, (48, 64)).pixels
    expected = cv2.warpAffine(pixels, to_network, (64, 48), flags=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(shown, expected)


def test_what_is_only_put_somewhere_is_not_interpolated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "warpAffine", None)
    pixels = np.full((20, 30), 200, np.uint8)
    for left, top in INSIDE:
        shown = prepare(pixels, np.array([[1.0, 0, left], [0, 1, top]]), (48, 64)).pixels
        assert shown.sum() == shown[top : top + 20, left : left + 30].sum() == pixels.sum()


def test_an_image_thinner_than_a_pixel_of_the_raster_is_a_pixel_wide() -> None:
    """Of 1,000 to 1 pixels the raster's 256 rows leave a quarter of a column."""
    upright = whole_image((1000, 1), SHAPE, keep_aspect=True)
    assert upright == pytest.approx(np.array([[1, 0, 191], [0, 0.256, -0.372]]))
    flat = whole_image((1, 2000), SHAPE, keep_aspect=True)
    assert flat == pytest.approx(np.array([[0.192, 0, -0.404], [0, 1, 127]]))


def test_where_the_corners_of_an_image_lie() -> None:
    """Half a pixel outside of the outermost centres, an image ends where the raster does."""
    for keep_aspect, shape, low, high in (
        (False, (100, 50), (-0.5, -0.5), (383.5, 255.5)),
        (True, (100, 50), (127.5, -0.5), (255.5, 255.5)),
        (True, (50, 150), (-0.5, 63.5), (383.5, 191.5)),
        (True, (256, 384), (-0.5, -0.5), (383.5, 255.5)),
    ):
        to_network = whole_image(shape, SHAPE, keep_aspect=keep_aspect)
        assert to_network @ [-0.5, -0.5, 1] == pytest.approx(low)
        assert to_network @ [shape[1] - 0.5, shape[0] - 0.5, 1] == pytest.approx(high)
    assert stretch((2, 4), (6, 2)) @ [3.5, 1.5, 1] == pytest.approx([1.5, 5.5])


def test_each_axis_of_the_image_is_shrunk_by_its_own_scale() -> None:
    """Turned by a quarter: rows that become columns are averaged four to one."""
    turned = np.array([[0, 0.25, 0], [1.0, 0, 0]])
    for axis, grey in ((0, 100), (1, None)):
        stripes = np.zeros((400, 200), np.uint8)
        stripes[(slice(None, None, 2), slice(None))[:: 1 - 2 * axis]] = 200
        seen = prepare(stripes, turned, (200, 100)).pixels[8:-8, 8:-8]
        if grey is None:  # columns, which become rows, stay as they are
            assert np.unique(seen).tolist() == [0, 200]
        else:
            assert np.abs(seen.astype(int) - grey).max() <= 1


@pytest.mark.parametrize("axis", [0, 1])
def test_a_line_of_one_pixel_is_seen_as_it_is(axis: int) -> None:
    line = np.full((1, 30) if axis else (30, 1), 200, np.uint8)
    seen = prepare(line, np.array([[1.0, 0, 7], [0, 1, 5]]), (40, 50)).pixels
    expected = np.zeros((40, 50), np.uint8)
    expected[(slice(5, 6), slice(7, 37)) if axis else (slice(5, 35), slice(7, 8))] = 200
    assert (seen == expected).all()


def test_pixels_are_square_unless_it_is_said() -> None:
    grey = np.zeros((30, 40), np.uint8)
    view = np.eye(2, 3)
    assert Prepared(grey, view, grey).pixel_aspect == 1.0
    assert prepare(grey, view, (30, 40)).pixel_aspect == 1.0
    head = Ellipse(20, 15, 8, 6, 0.2)
    assert (around(head, SHAPE) == around(head, SHAPE, 1.0)).all()
    shown = [
        whole_image((30, 40), SHAPE, keep_aspect=True, **how) for how in ({}, {"pixel_aspect": 1.0})
    ]
    assert (shown[0] == shown[1]).all()


@pytest.mark.parametrize("seed", range(30))
def test_what_is_seen_of_a_part_is_what_all_of_the_image_would_show(seed: int) -> None:
    """From near, turned, at the image's edges: shrunk whole by OpenCV, then moved, as defined."""
    rng = np.random.default_rng(seed)
    rows, columns = (int(side) for side in rng.integers(40, 600, 2))
    noise = rng.integers(0, 256, (rows, columns), np.uint8)
    pixels = np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8)
    turn_rad, (along_x, along_y) = rng.uniform(-3, 3), rng.uniform(0.2, 1.6, 2)
    turn = np.array([[np.cos(turn_rad), -np.sin(turn_rad)], [np.sin(turn_rad), np.cos(turn_rad)]])
    linear = turn @ np.diag([along_x, along_y])
    center = rng.uniform(0, 1, 2) * [columns, rows]
    to_network = np.column_stack([linear, [48, 32] - linear @ center])
    shown = prepare(pixels, to_network, (64, 96)).pixels.astype(int)
    size = round(columns * min(1, along_x)), round(rows * min(1, along_y))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    whole = chained(to_network, stretch(size[::-1], (rows, columns)))
    expected = cv2.warpAffine(small, whole, (96, 64), flags=cv2.INTER_CUBIC)
    apart = np.abs(shown - expected)
    # Places are known to a 32nd of a pixel: a few are rounded otherwise, from another origin.
    assert apart.max() <= 8
    assert (apart > 0).mean() < 0.01
    assert shown.max() > 0


def test_which_part_is_seen() -> None:
    view = np.array([[0.5, 0, -10], [0, 2.0, -60]])  # columns 20 to 148, rows 30 to 54
    assert seen_part(view, (48, 64), (500, 800), 0) == ((30, 54), (20, 148))
    assert seen_part(view, (48, 64), (500, 800), 3) == ((27, 57), (17, 151))
    assert seen_part(view, (48, 64), (40, 100), 25) == ((5, 40), (0, 100))
    between = np.array([[1.0, 0, -2.5], [0, 1, -7.5]])
    assert seen_part(between, (10, 20), (500, 800), 0) == ((7, 18), (2, 23))
    # Turned by 30 degrees and at half the size, each corner is the farthest on one side.
    cos, sin = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turned = 0.5 * np.array([[cos, sin, 0], [-sin, cos, 0]])
    turned[:, 2] = -turned[:, :2] @ [300, 200]  # the left upper corner shows this pixel
    assert seen_part(turned, (10, 20), (500, 800), 0) == ((200, 238), (290, 335))
    nothing = np.array([[1.0, 0, 100], [0, 1, 200]])
    assert seen_part(nothing, (10, 20), (500, 800), 0) == ((0, 0), (0, 0))
    quarter = np.array([[0.0, 1, -100], [1, 0, -200]])
    assert seen_part(quarter, (10, 20), (500, 800), 0) == ((100, 120), (200, 210))


@pytest.mark.parametrize("shape", [(1, 400), (400, 1)])
def test_less_than_half_a_line_is_one(shape: tuple[int, int]) -> None:
    """Shrunk to 0.3 of a row or column, it is still there."""
    pixels = np.full(shape, 200, np.uint8)
    shown = prepare(pixels, np.array([[0.3, 0, 10], [0, 0.3, 10]]), (140, 140)).pixels
    lit = np.argwhere(shown > 0)
    assert 115 < np.ptp(lit, axis=0).max() < 125
    assert np.ptp(lit, axis=0).min() <= 2


@pytest.mark.parametrize("away", [(-100, 5), (5, -100), (100, 5), (5, 100)])
def test_where_nothing_is_seen_is_black(away: tuple[int, int]) -> None:
    pixels = np.full((20, 30), 200, np.uint8)
    shown = prepare(pixels, np.array([[1.0, 0, away[0]], [0, 1, away[1]]]), (48, 64)).pixels
    assert shown.shape == (48, 64)
    assert not shown.any()
