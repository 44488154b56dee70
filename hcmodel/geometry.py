"""Ellipses in pixels, pixel spacing in millimetres, and the head circumference between them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from hcmodel.arrays import FloatArray, FloatImage
from hcmodel.spacing import Spacing

__all__ = ["Ellipse", "Spacing"]


MAX_PX = 1e6
_MIN_SEMI_AXIS_PX = 1e-3
"""Far beyond what any image holds; within them no product or quotient leaves a float's range."""


@dataclass(frozen=True, slots=True)
class Ellipse:
    """An ellipse in pixels of the original image; integer coordinates are pixel centres.

    ``angle_rad`` turns the +x axis (right) towards +y (down) onto the major axis ``a``.
    """

    center_x_px: float
    center_y_px: float
    semi_axis_a_px: float
    semi_axis_b_px: float
    angle_rad: float

    @classmethod
    def from_matrix(cls, center_px: FloatArray, matrix: FloatArray) -> Ellipse:
        """Return the image of the unit circle under ``center_px + matrix @ u`` (2x2, px).

        Raises ``numpy.linalg.LinAlgError`` for a matrix that is not finite.
        """
        directions, semi_axes_px, _ = np.linalg.svd(matrix)
        angle_rad = math.atan2(directions[1, 0], directions[0, 0]) % math.pi
        return cls(
            float(center_px[0]),
            float(center_px[1]),
            float(semi_axes_px[0]),
            float(semi_axes_px[1]),
            angle_rad,
        )

    @property
    def is_proper(self) -> bool:
        """Whether it has an area and a place that an image can hold: no line, no point, no NaN."""
        values = (self.center_x_px, self.center_y_px, self.angle_rad, self.semi_axis_a_px)
        return (
            all(abs(value) < MAX_PX for value in values)
            and self.semi_axis_a_px >= self.semi_axis_b_px > _MIN_SEMI_AXIS_PX
        )

    @property
    def center_px(self) -> FloatArray:
        """The centre as an array ``(2,)`` x, y, in px."""
        return np.array([self.center_x_px, self.center_y_px])

    @property
    def matrix(self) -> FloatArray:
        """2x2: columns are the two semi-axes as vectors, in px."""
        cos, sin = math.cos(self.angle_rad), math.sin(self.angle_rad)
        a_px, b_px = self.semi_axis_a_px, self.semi_axis_b_px
        return np.array([[a_px * cos, -b_px * sin], [a_px * sin, b_px * cos]])

    def transformed(self, affine: FloatArray) -> Ellipse:
        """Return the same ellipse after a 2x3 affine map of the plane."""
        return Ellipse.from_matrix(
            affine[:, :2] @ self.center_px + affine[:, 2], affine[:, :2] @ self.matrix
        )

    def scaled(self, factor: float) -> Ellipse:
        """Return the same ellipse, so many times as large."""
        return replace(
            self,
            semi_axis_a_px=factor * self.semi_axis_a_px,
            semi_axis_b_px=factor * self.semi_axis_b_px,
        )

    def points(self, count: int = 360) -> FloatArray:
        """Return ``(count, 2)`` points x, y on the ellipse, in px."""
        turn_rad = np.linspace(0, 2 * math.pi, count, endpoint=False)
        circle = np.stack([np.cos(turn_rad), np.sin(turn_rad)])
        return np.asarray((self.center_px[:, None] + self.matrix @ circle).T)

    def bounding_box_px(self) -> tuple[float, float, float, float]:
        """Return left, top, right, bottom of the ellipse, in px."""
        half_x_px, half_y_px = np.hypot(self.matrix[:, 0], self.matrix[:, 1])
        return (
            self.center_x_px - float(half_x_px),
            self.center_y_px - float(half_y_px),
            self.center_x_px + float(half_x_px),
            self.center_y_px + float(half_y_px),
        )

    def signed_distance_px(self, shape: tuple[int, int]) -> FloatImage:
        """Return ``(H, W)`` distances of pixel centres to the ellipse, negative inside, in px.

        First-order distance g/|grad g| of g = |u| - 1 with u the pixel in the circle's frame:
        exact on the ellipse, which is where masks and weights need it.
        """
        inverse = np.linalg.inv(self.matrix).astype(np.float32)
        x_px = np.arange(shape[1], dtype=np.float32) - np.float32(self.center_x_px)
        y_px = (np.arange(shape[0], dtype=np.float32) - np.float32(self.center_y_px))[:, None]
        u = inverse[0, 0] * x_px + inverse[0, 1] * y_px
        v = inverse[1, 0] * x_px + inverse[1, 1] * y_px
        radius = np.sqrt(u * u + v * v) + np.float32(1e-6)
        slope_x = (inverse[0, 0] * u + inverse[1, 0] * v) / radius
        slope_y = (inverse[0, 1] * u + inverse[1, 1] * v) / radius
        slope = np.sqrt(slope_x**2 + slope_y**2) + np.float32(1e-6)
        distance: FloatImage = (radius - 1) / slope
        return distance

    def coverage(self, shape: tuple[int, int]) -> FloatImage:
        """Return the ``(H, W)`` share of each pixel in the ellipse, 0 to 1, soft at its border."""
        return covered(self.signed_distance_px(shape))

    def semi_axes_mm(self, spacing: Spacing) -> tuple[float, float]:
        """Return major and minor semi-axis in mm; each image axis has its own pixel size."""
        scale_mm = np.diag([spacing.column_mm, spacing.row_mm])
        major_mm, minor_mm = np.linalg.svd(scale_mm @ self.matrix, compute_uv=False)
        return float(major_mm), float(minor_mm)

    def diameters_px(self, spacing: Spacing) -> FloatArray:
        """Return the ends of the longest and of the shortest diameter in mm, as points in px.

        Shape ``(2, 2, 2)``: OFD before BPD, two ends, x and y. Where pixels are not square, these
        are other lines than the longest and shortest in px.
        """
        scale_mm = np.diag([spacing.column_mm, spacing.row_mm])
        directions, semi_axes_mm, _ = np.linalg.svd(scale_mm @ self.matrix)
        halves_px = (np.linalg.inv(scale_mm) @ directions * semi_axes_mm).T
        ends_px = np.stack([self.center_px - halves_px, self.center_px + halves_px], axis=1)
        return np.asarray(ends_px)

    def circumference_mm(self, spacing: Spacing) -> float:
        """Return HC in mm: the ellipse's perimeter after scaling to millimetres."""
        return perimeter(*self.semi_axes_mm(spacing))


def perimeter(semi_axis_a: float, semi_axis_b: float) -> float:
    """Return the perimeter of an ellipse, in the unit of its semi-axes.

    Ramanujan's second approximation (Quart. J. Math. 45, 1914):
    pi (a+b) (1 + 3h / (10 + sqrt(4-3h))), h = ((a-b)/(a+b))^2.
    """
    h = ((semi_axis_a - semi_axis_b) / (semi_axis_a + semi_axis_b)) ** 2
    return math.pi * (semi_axis_a + semi_axis_b) * (1 + 3 * h / (10 + math.sqrt(4 - 3 * h)))


def covered(away_px: FloatImage) -> FloatImage:
    """Return the share of each pixel inside of a border at these signed distances, 0 to 1."""
    return np.asarray(np.clip(0.5 - away_px, 0, 1))
