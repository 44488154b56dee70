"""An image as people look at a measurement: ellipse, calipers, scale bar, and words below it.

The words stand beneath the image, never on it: they hide nothing, and can be read whether the image
is dark or bright. Lines lie on a dark seam for the same reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from hcmodel.arrays import ColorImage, FloatArray, FloatImage, GreyImage, shape_of
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.lettering import Color, blend, coverage_of, width_of, wrapped, write

OUTLINE: Color = (63, 210, 255)
REGION: Color = (186, 179, 159)
TONES: dict[str, Color] = {
    "plain": (240, 238, 230),
    "soft": (190, 184, 167),
    "good": (154, 214, 127),
    "warn": (107, 178, 255),
    "bad": (166, 150, 255),
}
"""What a line of words is about, and its colour: each has a contrast of 7 or more on the panel."""

_PANEL: Color = (37, 32, 24)
_SEAM: Color = (0, 0, 0)
_SEAM_SHARE = 0.6
_SHORTEST_LONG_EDGE_PX, _LONGEST_LONG_EDGE_PX = 1000, 2400
"""Small images are enlarged until lines and letters are fine beside them, large ones bounded."""
_NARROWEST_PX = 640
"""Room for the words below a narrow image."""
_SUBPIXEL_BITS = 4
_BAR_SHARE = 0.25
"""Of the image's width, at most."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What is drawn on an image; all in px of the original. Unknown is ``None``.

    ``box``: left, top, right, bottom of the region whose scale is known.
    """

    ellipse: Ellipse | None = None
    spacing: Spacing | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """What stands below: a heading, lines with their tone (see ``TONES``), and a last line."""

    heading: str
    lines: tuple[tuple[str, str], ...] = ()
    last: str = ""


def annotated(pixels: GreyImage, marks: Marks, words: Words) -> ColorImage:
    """Return the whole image with its marks and words, ``(rows, columns, 3)`` uint8.

    Its pixels are square in mm, so that a head has its shape; see ``to_picture`` for the way there.
    """
    size = _size_of(shape_of(pixels), marks.spacing)
    picture = _resized(pixels, size)
    affine = _map(shape_of(pixels), size)
    stroke_px = max(1.0, max(size) / 900)
    if marks.box is not None:
        _draw_box(picture, marks.box, affine, stroke_px)
    if marks.ellipse is not None:
        draw_head(picture, marks.ellipse, marks.spacing, affine, stroke_px, named=True)
    if marks.spacing is not None:
        _draw_scale_bar(picture, marks.spacing.column_mm / affine[0, 0], stroke_px)
    picture = _widened(picture)
    return np.vstack([picture, _panel(words, picture.shape[1], max(size))])


def to_picture(shape: tuple[int, int], spacing: Spacing | None) -> FloatArray:
    """Return the 2x3 map from px of an image of ``shape`` to those of its annotated picture."""
    size = _size_of(shape, spacing)
    affine = _map(shape, size)
    affine[0, 2] += _margin(size[1])
    return affine


def thumbnail(pixels: GreyImage, marks: Marks, width_px: int) -> ColorImage:
    """Return the marked region, or else the whole image, ``width_px`` wide, without words."""
    rows, columns = shape_of(pixels)
    left, top, right, bottom = (0, 0, columns, rows)
    if marks.box is not None:
        left, top = max(0, round(marks.box[0])), max(0, round(marks.box[1]))
        right, bottom = min(columns, round(marks.box[2])), min(rows, round(marks.box[3]))
        if right - left < 2 or bottom - top < 2:
            left, top, right, bottom = (0, 0, columns, rows)
    crop = pixels[top:bottom, left:right]
    tall, wide = _square(shape_of(crop), marks.spacing)
    size = (max(1, min(2 * width_px, round(width_px * tall / wide))), width_px)
    picture = _resized(crop, size)
    affine = _map(shape_of(crop), size)
    affine[:, 2] -= affine[:, :2] @ [left, top]
    if marks.ellipse is not None:
        draw_head(picture, marks.ellipse, marks.spacing, affine, stroke_px=1.0)
    return picture


def draw_head(
    picture: ColorImage,
    ellipse: Ellipse,
    spacing: Spacing | None,
    affine: FloatArray,
    stroke_px: float,
    *,
    named: bool = False,
) -> None:
    """Draw the outline with the calipers of OFD and BPD, in place; ``affine`` leads there."""
    axes_px = [_mapped(ends, affine) for ends in ellipse.diameters_px(spacing or Spacing(1, 1))]
    for begin, end in axes_px:
        _stroke(picture, _dashes(begin, end, 5 * stroke_px), stroke_px)
        _stroke(
            picture, [*_cross(begin, 6 * stroke_px), *_cross(end, 6 * stroke_px)], stroke_px * 1.5
        )
    _stroke(picture, [_mapped(ellipse.points(360), affine)], stroke_px * 1.5, closed=True)
    if named:
        center = _mapped(ellipse.center_px[None], affine)[0]
        for name, (begin, end) in zip(("OFD", "BPD"), axes_px, strict=True):
            _name_end(picture, name, begin if begin[1] <= end[1] else end, center)


def _name_end(picture: ColorImage, text: str, at: FloatArray, center: FloatArray) -> None:
    """Write a caliper's name just outside of its end."""
    size_px = max(12, round(max(shape_of(picture)) / 62))
    outward = (at - center) / max(1.0, float(np.hypot(*(at - center))))
    wide = width_of(text, size_px, bold=True)
    left, top = at + outward * (0.5 * wide + 0.6 * size_px) - (0.5 * wide, 0.6 * size_px)
    left = min(max(left, 2), picture.shape[1] - wide - 2)
    top = min(max(top, 2), picture.shape[0] - 1.4 * size_px)
    _write_on_image(picture, text, (round(left), round(top)), size_px)


def _write_on_image(picture: ColorImage, text: str, at: tuple[int, int], size_px: int) -> None:
    letters = np.pad(coverage_of(text, size_px, bold=True), 2)
    seam: FloatImage = cv2.dilate(letters, np.ones((5, 5), np.uint8)).astype(np.float32)
    corner = (at[0] - 2, at[1] - 2)
    blend(picture, np.asarray(_SEAM_SHARE * seam, np.float32), corner, _SEAM)
    blend(picture, letters, corner, OUTLINE)


def _draw_scale_bar(picture: ColorImage, mm_per_px: float, stroke_px: float) -> None:
    rows, columns = shape_of(picture)
    length_mm = _round_length(_BAR_SHARE * columns * mm_per_px)
    length_px = length_mm / mm_per_px
    size_px = max(12, round(max(rows, columns) / 62))
    left, bottom = 0.02 * columns, rows - 0.02 * columns
    begin, end = np.array([left, bottom]), np.array([left + length_px, bottom])
    tick = np.array([0, 5 * stroke_px])
    lines = [np.array([begin, end])]
    lines += [np.array([at - tick, at + tick]) for at in (begin, end)]
    _stroke(picture, lines, 2 * stroke_px)
    at = (round(left), round(bottom - 6 * stroke_px - 1.3 * size_px))
    _write_on_image(picture, f"{length_mm:g} mm", at, size_px)


def _round_length(most_mm: float) -> float:
    """Return the largest of 1, 2, 5, 10, ... that is not above."""
    step = 10.0 ** math.floor(math.log10(most_mm))
    return next(factor * step for factor in (5, 2, 1) if factor * step <= most_mm * (1 + 1e-9))


def _draw_box(
    picture: ColorImage,
    box: tuple[float, float, float, float],
    affine: FloatArray,
    stroke_px: float,
) -> None:
    left, top, right, bottom = box[0] - 0.5, box[1] - 0.5, box[2] - 0.5, box[3] - 0.5
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    _stroke(picture, [_mapped(corners, affine)], 0.7 * stroke_px, REGION, closed=True)


def _stroke(
    picture: ColorImage,
    lines: list[FloatArray],
    width_px: float,
    color: Color = OUTLINE,
    *,
    closed: bool = False,
) -> None:
    """Draw lines on a dark seam, in place."""
    core_px = max(1, round(width_px))
    seam_px = core_px + 2 * core_px
    corner, size = _around(lines, seam_px + 2, shape_of(picture))
    points = [((line - corner) * 2**_SUBPIXEL_BITS).round().astype(np.int32) for line in lines]
    for thickness_px, share, shade in ((seam_px, _SEAM_SHARE, _SEAM), (core_px, 1.0, color)):
        mask = np.zeros(size, np.uint8)
        cv2.polylines(mask, points, closed, 255, thickness_px, cv2.LINE_AA, shift=_SUBPIXEL_BITS)
        blend(picture, np.asarray(mask * np.float32(share / 255), np.float32), corner, shade)


def _around(
    lines: list[FloatArray], margin_px: float, shape: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return left and top, rows and columns of the part of a picture that lines touch."""
    points = np.concatenate(lines)
    left, top = np.clip(np.floor(points.min(0) - margin_px), 0, (shape[1], shape[0])).astype(int)
    right, bottom = np.clip(np.ceil(points.max(0) + margin_px), 0, (shape[1], shape[0])).astype(int)
    return (int(left), int(top)), (max(1, int(bottom - top)), max(1, int(right - left)))


def _dashes(begin: FloatArray, end: FloatArray, length_px: float) -> list[FloatArray]:
    count = max(1, 2 * round(float(np.hypot(*(end - begin))) / (2 * length_px)) + 1)
    stops = begin + np.linspace(0, 1, count + 1)[:, None] * (end - begin)
    return [np.array(pair) for pair in list(pairwise(stops))[::2]]


def _cross(at: FloatArray, arm_px: float) -> list[FloatArray]:
    arms = (np.array([arm_px, 0.0]), np.array([0.0, arm_px]))
    return [np.array([at - arm, at + arm]) for arm in arms]


def _panel(words: Words, width_px: int, long_edge_px: int) -> ColorImage:
    """Return the words, as wide as the image and as high as they need."""
    text_px = round(long_edge_px / 56)
    heading_px, last_px = round(1.9 * text_px), round(0.85 * text_px)
    margin_px = text_px
    room_px = width_px - 2 * margin_px
    lines = [(words.heading, TONES["plain"], heading_px, True)]
    for tone, text in words.lines:
        lines += [(line, TONES[tone], text_px, False) for line in wrapped(text, text_px, room_px)]
    for line in wrapped(words.last, last_px, room_px):
        lines.append((line, TONES["soft"], last_px, False))
    height_px = sum(round(1.45 * size_px) for _, _, size_px, _ in lines) + 2 * margin_px
    panel = np.full((height_px, width_px, 3), _PANEL, np.uint8)
    top = margin_px
    for text, color, size_px, bold in lines:
        write(panel, text, (margin_px, top), size_px, color, bold)
        top += round(1.45 * size_px)
    return panel


def _square(shape: tuple[int, int], spacing: Spacing | None) -> tuple[float, float]:
    """Return rows and columns after the coarser of two pixel sizes was refined to the other."""
    rows, columns = shape
    if spacing is None:
        return float(rows), float(columns)
    finest_mm = min(spacing.row_mm, spacing.column_mm)
    return rows * spacing.row_mm / finest_mm, columns * spacing.column_mm / finest_mm


def _size_of(shape: tuple[int, int], spacing: Spacing | None) -> tuple[int, int]:
    tall, wide = _square(shape, spacing)
    long_edge = max(tall, wide)
    zoom = min(max(long_edge, _SHORTEST_LONG_EDGE_PX), _LONGEST_LONG_EDGE_PX) / long_edge
    return max(1, round(tall * zoom)), max(1, round(wide * zoom))


def _resized(pixels: GreyImage, size: tuple[int, int]) -> ColorImage:
    shrinks = size[0] < pixels.shape[0] or size[1] < pixels.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    grey = cv2.resize(pixels, (size[1], size[0]), interpolation=how)
    return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


def _map(shape: tuple[int, int], size: tuple[int, int]) -> FloatArray:
    """Return the way of pixel centres when an image is resized edge to edge."""
    across, down = size[1] / shape[1], size[0] / shape[0]
    return np.array([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2]])


def _mapped(points: FloatArray, affine: FloatArray) -> FloatArray:
    return np.asarray(points @ affine[:, :2].T + affine[:, 2])


def _margin(width_px: int) -> int:
    return max(0, _NARROWEST_PX - width_px) // 2


def _widened(picture: ColorImage) -> ColorImage:
    """Return a narrow picture in the middle of a wider one."""
    margin_px = _margin(picture.shape[1])
    if not margin_px:
        return picture
    rest_px = _NARROWEST_PX - picture.shape[1] - margin_px
    return np.asarray(np.pad(picture, ((0, 0), (margin_px, rest_px), (0, 0))))
