"""The same images as other scanners, screens and archives would show them, with their truths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from hcmodel.arrays import FloatArray, FloatImage, GreyImage, shape_of
from hcmodel.drawing import draw_grey_bar, smooth_noise
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.preprocess import mirror, stretch


@dataclass(frozen=True, slots=True)
class Shown:
    """An image ``(H, W)`` uint8 with the size of its pixels and the ellipse of its head, in px."""

    pixels: GreyImage
    spacing: Spacing
    truth: Ellipse


Change = Callable[[Shown, np.random.Generator], Shown]


def _seen(look: Callable[[FloatImage, np.random.Generator], FloatImage]) -> Change:
    """Return a change of grey values alone, on a scale from 0 to 255."""

    def change(shown: Shown, rng: np.random.Generator) -> Shown:
        grey = look(shown.pixels.astype(np.float32), rng)
        return Shown(np.clip(grey, 0, 255).astype(np.uint8), shown.spacing, shown.truth)

    return change


def _gamma(exponent: float) -> Change:
    return _seen(lambda grey, _: np.float32(255) * (grey / np.float32(255)) ** np.float32(exponent))


def _blurred(grey: FloatImage, _rng: np.random.Generator) -> FloatImage:
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), 3), np.float32)


def _speckle(grey: FloatImage, rng: np.random.Generator) -> FloatImage:
    return grey * (1 + 0.35 * smooth_noise(shape_of(grey), 3, rng))


def _jpeg(shown: Shown, _rng: np.random.Generator) -> Shown:
    coded = cv2.imencode(".jpg", shown.pixels, [cv2.IMWRITE_JPEG_QUALITY, 30])[1]
    pixels = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
    return Shown(np.asarray(pixels, np.uint8), shown.spacing, shown.truth)


def _resized(factor_x: float, factor_y: float) -> Change:
    """Return a change to fewer or more pixels along each axis, of larger or smaller size in mm."""

    def change(shown: Shown, _rng: np.random.Generator) -> Shown:
        rows, columns = shown.pixels.shape
        width, height = round(columns * factor_x), round(rows * factor_y)
        pixels = cv2.resize(shown.pixels, (width, height), interpolation=cv2.INTER_AREA)
        x, y = width / columns, height / rows
        spacing = Spacing(shown.spacing.row_mm / y, shown.spacing.column_mm / x)
        resized = stretch((rows, columns), (height, width))
        return Shown(np.asarray(pixels, np.uint8), spacing, shown.truth.transformed(resized))

    return change


def _moved(shown: Shown, affine: FloatArray, size: tuple[int, int]) -> Shown:
    pixels = cv2.warpAffine(shown.pixels, affine, size, flags=cv2.INTER_LINEAR)
    return Shown(np.asarray(pixels, np.uint8), shown.spacing, shown.truth.transformed(affine))


def _turned(shown: Shown, _rng: np.random.Generator) -> Shown:
    rows, columns = shown.pixels.shape
    middle = ((columns - 1) / 2, (rows - 1) / 2)
    turn = np.asarray(cv2.getRotationMatrix2D(middle, 20, 1.0), np.float64)
    return _moved(shown, turn, (columns, rows))


def _mirrored(shown: Shown, _rng: np.random.Generator) -> Shown:
    rows, columns = shown.pixels.shape
    return _moved(shown, mirror(columns), (columns, rows))


def _shifted(shown: Shown, rng: np.random.Generator) -> Shown:
    """Move onto a larger canvas, so that no head is cut."""
    rows, columns = shown.pixels.shape
    size = (round(1.25 * columns), round(1.25 * rows))
    right = rng.uniform(0, 1) * (size[0] - columns)
    down = rng.uniform(0, 1) * (size[1] - rows)
    return _moved(shown, np.array([[1.0, 0, right], [0, 1, down]]), size)


def _interface(shown: Shown, rng: np.random.Generator) -> Shown:
    """Put a scanner's screen around the image: panels, text, a grey bar."""
    rows, columns = shown.pixels.shape
    left, top = round(0.14 * columns), round(0.12 * rows)
    canvas = np.full((round(1.2 * rows), round(1.3 * columns)), 12, np.uint8)
    canvas[:top] = 40
    canvas[top : top + rows, left : left + columns] = shown.pixels
    for line, word in enumerate(("GAIN", "MI", "TIS", "FR", "DR", "PRF", "AO", "HC")):
        text = f"{rng.integers(1000)} {word}"
        place = (6, top + 30 + 40 * line)
        cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 200, 1)
    draw_grey_bar(canvas, top, left + columns + 10, height=rows // 2, width=14)
    affine = np.array([[1.0, 0, left], [0, 1, top]])
    return Shown(canvas, shown.spacing, shown.truth.transformed(affine))


def _annotated(shown: Shown, rng: np.random.Generator) -> Shown:
    """Draw text over the image, and calipers with a dotted line along both axes of the head."""
    pixels = shown.pixels.copy()
    rows, columns = pixels.shape
    for _ in range(4):
        place = (int(rng.uniform(0, 0.7) * columns), int(rng.uniform(0.1, 1) * rows))
        text = f"HC {rng.integers(50, 350)} mm GA {rng.integers(10, 40)}w"
        cv2.putText(pixels, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 230, 1)
    outline = shown.truth.points(4)
    for start, end in ((outline[0], outline[2]), (outline[1], outline[3])):
        for point in (start, end):
            place = (round(float(point[0])), round(float(point[1])))
            cv2.drawMarker(pixels, place, 255, cv2.MARKER_CROSS, 13, 2)
        for step in np.linspace(0, 1, 40):
            x_px, y_px = start + step * (end - start)
            cv2.circle(pixels, (round(float(x_px)), round(float(y_px))), 1, 220, -1)
    return Shown(pixels, shown.spacing, shown.truth)


def _boxed(shown: Shown, _rng: np.random.Generator) -> Shown:
    """Hide a part of the skull by a black rectangle, as over a patient's name."""
    pixels = shown.pixels.copy()
    left, top, right, bottom = (round(edge) for edge in shown.truth.bounding_box_px())
    width, height = (right - left) // 4, (bottom - top) // 4
    pixels[max(0, top) : top + height, max(0, left) : left + width] = 0
    return Shown(pixels, shown.spacing, shown.truth)


CHANGES: dict[str, Change] = {
    "as it is": lambda shown, _: shown,
    "gain x 1.6": _seen(lambda grey, _: 1.6 * grey),
    "gain x 0.5": _seen(lambda grey, _: 0.5 * grey),
    "gamma 0.6": _gamma(0.6),
    "gamma 1.6": _gamma(1.6),
    "contrast x 0.5": _seen(lambda grey, _: 0.5 * (grey - 60) + 60),
    "blur of 3 px": _seen(_blurred),
    "noise of 15": _seen(
        lambda grey, rng: grey + 15 * rng.standard_normal(grey.shape, dtype=np.float32)
    ),
    "speckle": _seen(_speckle),
    "JPEG 30": _jpeg,
    "half size": _resized(0.5, 0.5),
    "quarter size": _resized(0.25, 0.25),
    "pixels 1.4 times as high": _resized(1.0, 1 / 1.4),
    "turned by 20 degrees": _turned,
    "mirrored": _mirrored,
    "shifted": _shifted,
    "text and calipers": _annotated,
    "a scanner's interface": _interface,
    "a black box": _boxed,
}
