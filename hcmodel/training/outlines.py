"""What the gate is trained on: outlines in images, each cut out along itself, and what is in them.

Heads and bodies are outlined by the network that the gate will stand behind. Beside them stand
outlines that it seldom or never draws: beside the head, on a head that was taken away, on screens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from hcmodel.arrays import FloatImage, GreyImage, shape_of
from hcmodel.cascade import find_heads
from hcmodel.dataset.hc18 import LabelledImage, read_grey
from hcmodel.dataset.planes import PlaneImage
from hcmodel.drawing import noise_image
from hcmodel.engine import Engine
from hcmodel.gate import axis_ratio, seen_along
from hcmodel.geometry import Ellipse
from hcmodel.phantom import draw_phantom, random_head
from hcmodel.plane import HC_PLANES, NO_HEAD, PLANES, Plane
from hcmodel.training.augment import without_head

WIDE_RASTER, WIDE_SEMI_AXIS_PX = (96, 128), 38.0
"""Outlines are kept wider than the gate sees them, so that they can be turned and shifted."""
EARLY_MM, EARLY_WEIGHT = 110.0, 3.5
"""Heads below it are a fifth of HC18; a gate without the weight refused hardly any others."""
PHANTOMS, EMPTY_PHANTOMS, SCREENS = 400, 300, 300
PHANTOM_SHAPE = (540, 800)
SEED = 18

MEANT: dict[str, tuple[Plane, ...]] = {
    "trans-thalamic": (Plane.TRANS_THALAMIC,),
    "trans-ventricular": (Plane.TRANS_VENTRICULAR,),
    "head of HC18": HC_PLANES,
    "phantom": HC_PLANES,
    "trans-cerebellar": (Plane.OTHER_HEAD,),
    "other-head": (Plane.OTHER_HEAD,),
    "abdomen": (Plane.ABDOMEN,),
    "thorax": (Plane.THORAX,),
    "femur": (Plane.FEMUR,),
    "misplaced on a body": NO_HEAD,
    "misplaced on a head": (Plane.NOTHING,),
    "head taken away": (Plane.NOTHING,),
    "empty phantom": (Plane.NOTHING,),
    "screen": (Plane.NOTHING,),
}
"""What each label allows. HC18 does not tell its planes; a misplaced ellipse may show some body."""
SHARES: dict[str, int] = {
    "trans-thalamic": 340,
    "trans-ventricular": 380,
    "head of HC18": 560,
    "phantom": 100,
    "trans-cerebellar": 230,
    "other-head": 50,
    "abdomen": 260,
    "thorax": 260,
    "femur": 150,
    "misplaced on a body": 100,
    "misplaced on a head": 90,
    "head taken away": 60,
    "empty phantom": 40,
    "screen": 90,
}
"""Parts of an epoch by label, in proportion: rare planes more often than they are there."""


@dataclass(frozen=True, slots=True)
class Outlined:
    """An outline in its image, ``WIDE_RASTER`` uint8 along it, its b/a, and what it is around.

    ``weight``: how often it is drawn beside others of its label.
    """

    pixels: GreyImage
    axis_ratio: float
    label: str
    weight: float = 1.0

    @property
    def allowed(self) -> FloatImage:
        """``(planes,)``: 1 for what the gate may say, 0 for what it may not."""
        return np.array([plane in MEANT[self.label] for plane in PLANES], np.float32)


def outlined(
    heads: Sequence[LabelledImage], planes: Sequence[PlaneImage], engine: Engine
) -> Iterator[Outlined]:
    """Yield all outlines to train on; raises ``TrainingDataError`` for images not readable."""
    for head in heads:
        yield from _of_head(head, engine)
    for number, image in enumerate(planes):
        yield from _of_plane(image, engine, np.random.default_rng([SEED, number]))
    yield from drawn()


def drawn() -> Iterator[Outlined]:
    """Yield what needs no image of anyone: phantoms with heads and without, screens."""
    for number in range(PHANTOMS):
        rng = np.random.default_rng([SEED, 1, number])
        head = random_head(PHANTOM_SHAPE, rng)
        yield _cut(draw_phantom(PHANTOM_SHAPE, head, rng), head, "phantom")
    for number in range(EMPTY_PHANTOMS):
        rng = np.random.default_rng([SEED, 2, number])
        empty = draw_phantom(PHANTOM_SHAPE, None, rng)
        yield _cut(empty, _anywhere(PHANTOM_SHAPE, rng), "empty phantom")
    for number in range(SCREENS):
        yield _screen(np.random.default_rng([SEED, 3, number]))


def _of_head(image: LabelledImage, engine: Engine) -> Iterator[Outlined]:
    rng = np.random.default_rng([SEED, 0, *image.name.encode()])
    pixels = read_grey(image.image_path)
    (head,) = find_heads([engine.prepare(pixels, image.spacing)], engine)
    if head is None:
        return
    early = image.hc_mm is not None and image.hc_mm < EARLY_MM
    yield _cut(pixels, head.ellipse, "head of HC18", EARLY_WEIGHT if early else 1.0)
    yield _cut(pixels, _beside(head.ellipse, pixels, rng), "misplaced on a head")
    empty, _ = without_head((pixels, head.ellipse), rng)
    yield _cut(empty, head.ellipse, "head taken away")


def _of_plane(image: PlaneImage, engine: Engine, rng: np.random.Generator) -> Iterator[Outlined]:
    pixels = read_grey(image.image_path)
    (head,) = find_heads([engine.prepare(pixels, None)], engine)
    if head is not None:
        yield _cut(pixels, head.ellipse, image.plane)
    label = "misplaced on a body" if image.plane in NO_HEAD else "misplaced on a head"
    for _ in range(2):
        place = _anywhere(shape_of(pixels), rng)
        yield _cut(pixels, place if head is None else _beside(head.ellipse, pixels, rng), label)


def _cut(pixels: GreyImage, outline: Ellipse, label: str, weight: float = 1.0) -> Outlined:
    wide = seen_along(pixels, outline, 1.0, WIDE_RASTER, WIDE_SEMI_AXIS_PX)
    return Outlined(wide, axis_ratio(outline), label, weight)


def _anywhere(shape: tuple[int, int], rng: np.random.Generator) -> Ellipse:
    rows, columns = shape
    semi_axis_px = rng.uniform(0.15, 0.5) * rows
    return Ellipse(
        rng.uniform(0.1, 0.9) * columns,
        rng.uniform(0.1, 0.9) * rows,
        semi_axis_px,
        semi_axis_px * rng.uniform(0.62, 0.98),
        rng.uniform(0, math.pi),
    )


def _beside(head: Ellipse, pixels: GreyImage, rng: np.random.Generator) -> Ellipse:
    """Return an ellipse that is no outline of the head: elsewhere, or of another size."""
    while True:
        place = _anywhere(shape_of(pixels), rng)
        apart_px = float(np.linalg.norm(place.center_px - head.center_px))
        size = abs(math.log(place.semi_axis_a_px / head.semi_axis_a_px))
        if apart_px > 0.6 * head.semi_axis_a_px or size > math.log(1.8):
            return place


def _screen(rng: np.random.Generator) -> Outlined:
    """Return an ellipse drawn on a screen, or lying anywhere on it."""
    rows, columns = PHANTOM_SHAPE
    screen = noise_image(PHANTOM_SHAPE, rng)
    if rng.random() < 0.6:
        screen = np.full(PHANTOM_SHAPE, rng.integers(0, 256), np.uint8)
    outline = _anywhere(PHANTOM_SHAPE, rng)
    for _ in range(rng.integers(0, 20)):
        x_px, y_px = int(rng.integers(0, columns)), int(rng.integers(0, rows))
        level, width_px = int(rng.integers(0, 256)), int(rng.integers(1, 6))
        to = (x_px + int(rng.integers(10, 400)), y_px + int(rng.integers(10, 300)))
        kind = rng.integers(3)
        if kind == 0:
            cv2.rectangle(screen, (x_px, y_px), to, level, -1 if rng.random() < 0.4 else width_px)
        elif kind == 1:
            text = "".join(rng.choice(list("ABCDEFGHabcdefgh 0123456789.:"), 16))
            font, size = cv2.FONT_HERSHEY_SIMPLEX, float(rng.uniform(0.4, 1.5))
            cv2.putText(screen, text, (x_px, y_px), font, size, level, 1 + width_px // 3)
        else:
            cv2.line(screen, (x_px, y_px), to, level, width_px)
    if rng.random() < 0.7:
        points = outline.points(180).round().astype(np.int32)
        level = int(rng.integers(0, 256))
        if rng.random() < 0.25:
            cv2.fillPoly(screen, [points], level)
        else:
            cv2.polylines(screen, [points], True, level, int(rng.choice([1, 2, 5, 12])))
    if rng.random() < 0.3:
        screen = np.asarray(cv2.GaussianBlur(screen, (0, 0), 2), np.uint8)
    return _cut(screen, outline, "screen")
