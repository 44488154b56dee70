"""From the network's probability map to one ellipse in pixels of the original image."""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import itemgetter

import contourpy
import cv2
import numpy as np

from hcmodel.arrays import FloatArray, FloatImage, Mask, shape_of
from hcmodel.geometry import MAX_PX, Ellipse, covered
from hcmodel.preprocess import Prepared

ISO_LEVEL = 0.5
"""Probability of the level line that is taken for the outline, unless the card tells another."""
MIN_POINTS = 20
MIN_AREA_SHARE = 0.004
"""Of the raster; the smallest head of HC18 covers 1.3 %."""
BORDER_PX = 1.5
"""Closer to the image's border than this, the level line is the border's and not the head's."""
MIN_LINE_SHARE = 0.25
"""A level line shorter than this share of the largest piece's is a speck."""

_MIN_FITTED = 5
"""An ellipse has five parameters."""

MAX_DEPTH_SHARE = 0.03
"""Of the head's size: a level line that lies deeper below its convex hull is a notch or a gap."""
_SHARPNESS_BAND = 0.15
"""Of the minor semi-axis, to both sides: wider than maps' edges, and clear of the midline."""


@dataclass(frozen=True, slots=True)
class HeadFit:
    """An ellipse with the evidence for and against it.

    ``ellipse`` in px of the original image. ``residual``: root mean square distance of the level
    line to the ellipse, as a share of its mean semi-axis. ``border_share``: share of the level
    line that runs along the image's border. ``largest_component_share``: share of the area that is
    in the largest piece. ``soft_dice``: soft Dice of the map and the filled ellipse.
    ``sharpness``: mean of |2p - 1| over the ellipse's border band, low where the network wavers.
    """

    ellipse: Ellipse
    residual: float
    border_share: float
    largest_component_share: float
    soft_dice: float
    sharpness: float


def fit_head(
    probability: FloatImage, prepared: Prepared, iso_level: float = ISO_LEVEL
) -> HeadFit | None:
    """Return the head's ellipse in a ``(H, W)`` map of the network's raster; ``None`` without one.

    ``iso_level``: the probability along whose line it is fitted.

    A skull may come in two arcs, and a second bright body may lie beside it: the largest piece
    alone and all pieces together are both fitted, and the map decides between them.
    """
    if not np.isfinite(probability).all():
        return None
    lines = _level_lines(probability, iso_level)
    measured = sorted(((_area_px(line), line) for line in lines), key=itemgetter(0), reverse=True)
    areas_px, pieces = [area for area, _ in measured], [line for _, line in measured]
    if not pieces or areas_px[0] < MIN_AREA_SHARE * probability.size:
        return None
    long_enough = MIN_LINE_SHARE * len(pieces[0])
    together = [piece for piece in pieces if len(piece) >= long_enough]
    choices = [pieces[:1], together] if len(together) > 1 else [together]
    largest_share = areas_px[0] / sum(areas_px)
    fits = [_fit_pieces(choice, largest_share, probability, prepared) for choice in choices]
    found = [fit for fit in fits if fit is not None]
    return max(found, key=lambda fit: fit.soft_dice, default=None)


def _fit_pieces(
    chosen: list[FloatArray],
    largest_share: float,
    probability: FloatImage,
    prepared: Prepared,
) -> HeadFit | None:
    points_px = np.concatenate(chosen)
    at_border = _at_border(points_px, prepared)
    skull_px = points_px[~at_border & _on_hull(points_px)]
    ellipse = fit_points(skull_px) if len(skull_px) >= MIN_POINTS else None
    if ellipse is None:
        return None
    away_px = ellipse.signed_distance_px(shape_of(probability))
    inside = covered(away_px)
    return HeadFit(
        ellipse=ellipse.transformed(prepared.to_original),
        residual=_residual(ellipse, skull_px),
        border_share=float(at_border.mean()),
        largest_component_share=largest_share,
        soft_dice=float(2 * (inside * probability).sum() / (inside.sum() + probability.sum())),
        sharpness=_sharpness(away_px, ellipse.semi_axis_b_px, probability),
    )


def fit_points(points_px: FloatArray) -> Ellipse | None:
    """Return the least-squares ellipse (Fitzgibbon's direct fit) through ``(N, 2)`` points, in px.

    ``None`` where the points do not bend like an ellipse.
    """
    if len(points_px) < _MIN_FITTED or not (np.abs(points_px) < MAX_PX).all():
        return None
    # float32 has 24 bits: centring keeps sub-pixel differences above its rounding.
    middle = points_px.mean(axis=0)
    centred = (points_px - middle).astype(np.float32)
    try:
        (x_px, y_px), (first_px, second_px), angle_deg = cv2.fitEllipseDirect(centred)
    except cv2.error:  # its eigenvalues do not converge, for points on a line and the like
        return None
    sizes = np.array([x_px, y_px, first_px, second_px])
    if not np.isfinite(sizes).all() or min(first_px, second_px) < 2:
        return None
    angle_rad = np.deg2rad(angle_deg)
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    axes = np.array([[cos, -sin], [sin, cos]]) @ np.diag([first_px / 2, second_px / 2])
    return Ellipse.from_matrix(middle + np.array([x_px, y_px]), axes)


def _level_lines(probability: FloatImage, iso_level: float) -> list[FloatArray]:
    """Outer level lines ``(N, 2)`` x, y in px, sub-pixel, closed along the raster's border."""
    left, top, width, height = cv2.boundingRect((probability >= iso_level).view(np.uint8))
    # What lies around is below the level, and no line runs there.
    framed = np.pad(probability, 1)[top : top + height + 2, left : left + width + 2]
    y_px, x_px = np.mgrid[top : top + height + 2, left : left + width + 2].astype(np.float64)
    # contourpy.contour_generator would look for a mask, in twice the time that the lines take.
    generator = contourpy.SerialContourGenerator(
        x_px,
        y_px,
        framed.astype(np.float64),
        None,  # type: ignore[arg-type]
        corner_mask=False,
        line_type=contourpy.LineType.Separate,
        fill_type=contourpy.FillType.OuterCode,
        quad_as_tri=False,
        z_interp=contourpy.ZInterp.Linear,
    )
    lines: list[FloatArray] = generator.lines(iso_level)  # type: ignore[assignment]
    return [line[:-1] - 1 for line in lines if len(line) > MIN_POINTS and _signed_area(line) > 0]


def _signed_area(line: FloatArray) -> float:
    (x_px, y_px), (next_x_px, next_y_px) = line.T, _shifted(line).T
    return float(np.sum(x_px * next_y_px - y_px * next_x_px) / 2)


def _shifted(line: FloatArray) -> FloatArray:
    """Return each point's successor; ``numpy.roll`` takes longer than all that is done with it."""
    return np.concatenate([line[1:], line[:1]])


def _area_px(line: FloatArray) -> float:
    return abs(_signed_area(line))


def _at_border(points_px: FloatArray, prepared: Prepared) -> Mask:
    """Points where the image ends, or what the raster shows of it."""
    rows, columns = prepared.original_shape
    corners = _apply(prepared.to_network, np.array([[-0.5, -0.5], [columns - 0.5, rows - 0.5]]))
    height, width = prepared.pixels.shape
    low = np.maximum(corners[0], -0.5) + BORDER_PX
    high = np.minimum(corners[1], [width - 0.5, height - 0.5]) - BORDER_PX
    return np.asarray(((points_px < low) | (points_px > high)).any(axis=1))


def _on_hull(points_px: FloatArray) -> Mask:
    """Points near the convex hull: a head is convex, so notches and gaps are not its outline."""
    hull = cv2.convexHull(points_px.astype(np.float32))[:, 0].astype(np.float64)
    if len(hull) < 3:  # all on one line
        return np.zeros(len(points_px), bool)
    along = _shifted(hull) - hull
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    inward = np.stack([-along[:, 1], along[:, 0]], axis=1)
    # Below a convex hull, the nearest edge's line is as near as the hull itself.
    depth_px = np.abs(inward @ points_px.T - np.sum(hull * inward, axis=1)[:, None]).min(axis=0)
    size_px = np.sqrt(cv2.contourArea(hull.astype(np.float32)))
    return np.asarray(depth_px < MAX_DEPTH_SHARE * size_px)


def _apply(affine: FloatArray, points_px: FloatArray) -> FloatArray:
    return np.asarray(points_px @ affine[:, :2].T + affine[:, 2])


def _residual(ellipse: Ellipse, points_px: FloatArray) -> float:
    """Return the first-order distance of the points to the ellipse, RMS, over its mean semi-axis.

    Infinite where a point lies on the centre, from which it has no direction.
    """
    inverse = np.linalg.inv(ellipse.matrix)
    unit = (points_px - ellipse.center_px) @ inverse.T
    radius = np.linalg.norm(unit, axis=1)
    if not radius.all():
        return math.inf
    slope = np.linalg.norm(unit @ inverse, axis=1) / radius
    distance_px = (radius - 1) / slope
    mean_axis_px = (ellipse.semi_axis_a_px + ellipse.semi_axis_b_px) / 2
    return float(np.sqrt(np.mean(distance_px**2)) / mean_axis_px)


def _sharpness(away_px: FloatImage, semi_axis_b_px: float, probability: FloatImage) -> float:
    band = np.abs(away_px) < _SHARPNESS_BAND * semi_axis_b_px
    return float(np.abs(2 * probability[band] - 1).mean()) if band.any() else 0.0
