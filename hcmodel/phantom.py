"""Synthetic ultrasound images with a head of known HC: for demos, tests and a share of training.

A phantom looks like ultrasound only as far as the network needs: a sector of speckle, a skull
that is bright where the beam meets it head-on and fades along the beam, a darker brain with a
midline, tissue around it, shadow behind bone.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from hcmodel.arrays import FloatImage, GreyImage, Mask, shape_of
from hcmodel.drawing import smooth_noise
from hcmodel.geometry import Ellipse


def draw_phantom(
    shape: tuple[int, int], head: Ellipse | None, rng: np.random.Generator
) -> GreyImage:
    """Return a ``(H, W)`` uint8 image.

    ``head`` is the skull's outer outline in px, ``None`` for no head.
    """
    echo = _tissue(shape, rng)
    echo = _add_arcs(echo, rng) if head is None else _add_head(echo, head, rng)
    echo = echo * _speckle(shape, rng)
    echo = np.where(_sector(shape, rng), echo, 0)
    soft = cv2.GaussianBlur(echo, (0, 0), 0.0012 * shape[1])
    grey: GreyImage = np.clip(255 * soft, 0, 255).astype(np.uint8)
    return grey


def random_head(shape: tuple[int, int], rng: np.random.Generator) -> Ellipse:
    """Return an ellipse inside the image with b/a from 0.70 to 0.88, as fetal heads have."""
    height_px, width_px = shape
    semi_axis_a_px = rng.uniform(0.22, 0.44) * height_px
    semi_axis_b_px = semi_axis_a_px * rng.uniform(0.70, 0.88)
    reach_px = semi_axis_a_px + 0.03 * height_px
    return Ellipse(
        rng.uniform(reach_px, width_px - reach_px),
        rng.uniform(reach_px, height_px - reach_px),
        semi_axis_a_px,
        semi_axis_b_px,
        rng.normal(0, 0.5) % math.pi,
    )


def _speckle(shape: tuple[int, int], rng: np.random.Generator) -> FloatImage:
    grain_px = shape[1] / rng.uniform(180, 320)
    noise = np.hypot(smooth_noise(shape, grain_px, rng), smooth_noise(shape, grain_px, rng))
    return np.asarray((noise / 1.25) ** rng.uniform(0.25, 0.6), np.float32)


def _tissue(shape: tuple[int, int], rng: np.random.Generator) -> FloatImage:
    level = rng.uniform(0.10, 0.28)
    large = smooth_noise(shape, shape[1] / 6, rng)
    small = smooth_noise(shape, shape[1] / 25, rng)
    return np.asarray(level * np.exp(0.45 * large + 0.25 * small), np.float32)


def _sector(shape: tuple[int, int], rng: np.random.Generator) -> Mask:
    """Return the fan that a curved probe sees, with its apex above the image."""
    height_px, width_px = shape
    apex_px = rng.uniform(0.25, 0.9) * height_px
    half_angle_rad = rng.uniform(0.55, 0.9)
    y_px, x_px = np.mgrid[0:height_px, 0:width_px].astype(np.float32)
    radius_px = np.hypot(x_px - width_px / 2, y_px + apex_px)
    angle_rad = np.arctan2(x_px - width_px / 2, y_px + apex_px)
    inside = np.abs(angle_rad) < half_angle_rad
    inside &= (radius_px > apex_px * 1.05) & (radius_px < apex_px + 1.02 * height_px)
    return np.asarray(inside)


def _add_head(echo: FloatImage, head: Ellipse, rng: np.random.Generator) -> FloatImage:
    shape = shape_of(echo)
    distance_px = head.signed_distance_px(shape)
    thickness_px = rng.uniform(0.010, 0.022) * (head.semi_axis_a_px + head.semi_axis_b_px)
    y_px, x_px = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    away_x, away_y = x_px - head.center_x_px, y_px - head.center_y_px
    # An ellipse's outward normal is parallel to M^-T u; the beam comes from above.
    inverse = np.linalg.inv(head.matrix)
    u = inverse @ np.stack([away_x.ravel(), away_y.ravel()])
    normal = inverse.T @ u
    facing = np.abs(normal[1]) / (np.hypot(normal[0], normal[1]) + 1e-6)
    floor = rng.uniform(0.12, 0.45)
    bone = (floor + (1 - floor) * facing.reshape(shape) ** rng.uniform(1.0, 2.5)).astype(np.float32)
    bone *= 1 + 0.15 * smooth_noise(shape, shape[1] / 20, rng)
    # The outline given is the skull's outer border, so the wall lies just inside it.
    wall = np.exp(-((distance_px / thickness_px + 0.8) ** 2)) * bone
    brain = rng.uniform(0.35, 0.8) * echo
    u_x, u_y = u[0].reshape(shape), u[1].reshape(shape)
    midline_width = rng.uniform(0.012, 0.03)
    midline = np.exp(-((u_y / midline_width) ** 2)) * (np.abs(u_x) < rng.uniform(0.5, 0.85))
    brain = brain + rng.uniform(0.1, 0.45) * midline
    inside = np.clip(0.5 - distance_px / 2, 0, 1)
    below = np.clip(away_y / head.semi_axis_b_px, 0, 1)
    shadow = 1 - rng.uniform(0.0, 0.5) * below * np.clip(
        2 - 2 * np.abs(away_x) / head.semi_axis_a_px, 0, 1
    )
    result = (inside * brain + (1 - inside) * echo) * shadow + rng.uniform(0.6, 1.0) * wall
    return np.asarray(result, np.float32)


def _add_arcs(echo: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Add a few bright interfaces that close to no head: an abdomen's or a uterine wall's."""
    height_px, width_px = shape_of(echo)
    arcs = np.zeros((height_px, width_px), np.float32)
    for _ in range(rng.integers(1, 5)):
        radius_px = rng.uniform(0.3, 1.5) * height_px
        start_deg = rng.uniform(0, 360)
        cv2.ellipse(
            arcs,
            (int(rng.uniform(0, width_px)), int(rng.uniform(0, height_px))),
            (int(radius_px), int(radius_px * rng.uniform(0.2, 0.9))),
            rng.uniform(0, 180),
            start_deg,
            start_deg + rng.uniform(15, 60),
            rng.uniform(0.3, 0.9),
            max(1, int(0.008 * width_px)),
        )
    return np.asarray(echo + cv2.GaussianBlur(arcs, (0, 0), 0.003 * width_px), np.float32)
