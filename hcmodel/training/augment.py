"""Makes other images out of the training images: other scanners, other views, no head at all.

An image is brought to the network's raster in one step, varied view and all, through the function
that measuring uses; its truth is an ellipse that moves along. Every sample is drawn from its own
generator, so a resumed training sees the same stream.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from hcmodel.arrays import FloatArray, FloatImage, GreyImage, shape_of
from hcmodel.drawing import draw_grey_bar, noise_image, smooth_noise
from hcmodel.geometry import Ellipse
from hcmodel.phantom import draw_phantom, random_head
from hcmodel.preprocess import around, chained, mirror, prepare

Sample = tuple[GreyImage, Ellipse | None]
"""``(rows, columns)`` uint8 and the outline of its head in px, ``None`` without a head."""
Raster = tuple[int, int]

OTHER_VIEW = 0.8
OTHER_LOOK = 0.6
"""How far the share from other scanners goes in geometry and appearance; 1 is the widest."""
LEAST_NEAR_VIEW = 0.5
"""From near, size and place must not tell the answer: they come from the whole image, where the
network errs."""


def shown(sample: Sample, to_network: FloatArray, raster: Raster) -> Sample:
    """Return the sample on a ``(H, W)`` raster, through a 2x3 affine map."""
    pixels, head = sample
    seen = prepare(pixels, to_network, raster).pixels
    return seen, None if head is None else head.transformed(to_network)


def flip_left_right(
    sample: Sample, to_network: FloatArray, raster: Raster, rng: np.random.Generator
) -> Sample:
    """Mirror every other sample: the notebook's only augmentation, on a ``(H, W)`` raster."""
    if rng.random() < 0.5:
        to_network = chained(mirror(raster[1]), to_network)
    return shown(sample, to_network, raster)


@dataclass(frozen=True, slots=True)
class Scanners:
    """A mixture: most samples near the images as they are, a share as from other scanners.

    ``view`` and ``look`` scale how far geometry and appearance go, 1 being the widest; the share
    ``other`` of the samples goes as far as ``OTHER_VIEW`` and ``OTHER_LOOK`` instead. ``near`` is
    the share of heads seen from near, ``phantoms`` and ``negatives`` are those of drawn heads and
    of images whose head is taken away.
    """

    view: float
    look: float
    other: float = 0.0
    near: float = 0.0
    phantoms: float = 0.0
    negatives: float = 0.0

    def __call__(
        self, sample: Sample, to_network: FloatArray, raster: Raster, rng: np.random.Generator
    ) -> Sample:
        """Return one variation of the sample; ``to_network`` shows all of it."""
        source = rng.random()
        if source < self.phantoms:
            sample = _phantom(shape_of(sample[0]), rng)
        elif source < self.phantoms + self.negatives:
            sample = without_head(sample, rng)
        far = rng.random() < self.other
        view, look = (OTHER_VIEW, OTHER_LOOK) if far else (self.view, self.look)
        if sample[1] is not None and rng.random() < self.near:
            to_network = around(sample[1], raster)
            view = max(view, LEAST_NEAR_VIEW)
        to_network = chained(_random_view(raster, rng, view), to_network)
        pixels, head = shown(sample, to_network, raster)
        return appearance(pixels, rng, look), head


def without_head(sample: Sample, rng: np.random.Generator) -> Sample:
    """Return a negative: the head filled in, tiles shuffled, background alone, or noise."""
    pixels, head = sample
    kind = rng.integers(5)
    if kind == 0 and head is not None:
        return fill_head(pixels, head, rng), None
    if kind == 1:
        return shuffle_tiles(pixels, rng), None
    if kind == 2 and head is not None:
        return background(pixels, head), None
    if kind == 3:
        return draw_phantom(shape_of(pixels), None, rng), None
    return noise_image(shape_of(pixels), rng), None


def _phantom(shape: Raster, rng: np.random.Generator) -> Sample:
    head = random_head(shape, rng) if rng.random() < 0.7 else None
    return draw_phantom(shape, head, rng), head


def fill_head(pixels: GreyImage, head: Ellipse, rng: np.random.Generator) -> GreyImage:
    """Paint tissue over the head, coarsely continued from around it."""
    shape = shape_of(pixels)
    margin_px = 0.12 * head.semi_axis_b_px
    cover = np.clip(0.5 - (head.signed_distance_px(shape) - margin_px) / 4, 0, 1)
    small = (shape[1] // 4, shape[0] // 4)
    hole = (cv2.resize(cover, small) > 0.02).astype(np.uint8)
    filled = cv2.inpaint(cv2.resize(pixels, small), hole, 3, cv2.INPAINT_TELEA)
    fill = cv2.resize(filled, (shape[1], shape[0])).astype(np.float32)
    fill *= 1 + 0.35 * smooth_noise(shape, 3, rng) + 0.2 * smooth_noise(shape, 20, rng)
    return np.clip(cover * fill + (1 - cover) * pixels, 0, 255).astype(np.uint8)


def shuffle_tiles(pixels: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Return the image cut into tiles that lie in another order."""
    rows, columns = 4, 6
    height, width = pixels.shape[0] // rows, pixels.shape[1] // columns
    result = pixels.copy()
    for place, origin in enumerate(rng.permutation(rows * columns)):
        to_y, to_x = place // columns * height, place % columns * width
        from_y, from_x = origin // columns * height, origin % columns * width
        tile = pixels[from_y : from_y + height, from_x : from_x + width]
        result[to_y : to_y + height, to_x : to_x + width] = tile
    return result


def background(pixels: GreyImage, head: Ellipse) -> GreyImage:
    """Return the largest strip beside the head, stretched to the whole raster."""
    height, width = pixels.shape
    left, top, right, bottom = (round(edge) for edge in head.bounding_box_px())
    strips = [
        pixels[:, : max(0, left)],
        pixels[:, min(width, right) :],
        pixels[: max(0, top)],
        pixels[min(height, bottom) :],
        pixels[:1],  # where a head fills the image
    ]
    return np.asarray(cv2.resize(max(strips, key=np.size), (width, height)), np.uint8)


def _random_view(shape: Raster, rng: np.random.Generator, strength: float) -> FloatArray:
    """Return an affine map: zoom, stretch, turn, mirror and shift around the centre."""
    height, width = shape
    wide = rng.random() < 0.1 * strength
    turn_rad = rng.uniform(-math.pi, math.pi) if wide else rng.normal(0, 0.25 * strength)
    zoom = math.exp(strength * rng.uniform(math.log(0.7), math.log(1.35)))
    stretch = math.exp(rng.normal(0, 0.06 * strength))
    mirror_x = -1.0 if rng.random() < 0.5 else 1.0
    mirror_y = -1.0 if rng.random() < 0.15 * strength else 1.0
    cos, sin = math.cos(turn_rad), math.sin(turn_rad)
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.diag(
        [zoom * stretch * mirror_x, zoom / stretch * mirror_y]
    )
    center = np.array([(width - 1) / 2, (height - 1) / 2])
    shift = rng.normal(0, 0.06 * strength, 2) * [width, height]
    return np.column_stack([linear, center + shift - linear @ center])


def appearance(pixels: GreyImage, rng: np.random.Generator, strength: float) -> GreyImage:
    """Return the image as another scanner might show it; ``strength`` 1 goes farthest."""
    grey = pixels.astype(np.float32) / np.float32(255)
    for change, share in ((_blurred, 0.3), (_lit, 0.85), (_shadow, 0.25), (_noisy, 0.4)):
        if rng.random() < share * strength:
            grey = change(grey, rng)
    result: GreyImage = np.clip(255 * grey, 0, 255).astype(np.uint8)
    if rng.random() < 0.25 * strength:
        result = _overlay(result, rng)
    if rng.random() < 0.15 * strength:
        result = _frame_sector(result, rng)
    if rng.random() < 0.1 * strength:
        quality = int(rng.integers(20, 70))
        coded = cv2.imencode(".jpg", result, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        result = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
    return result


def _blurred(grey: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Return it on a coarser raster or with a wider beam."""
    size = (grey.shape[1], grey.shape[0])
    if rng.random() < 0.5:
        factor = rng.uniform(1.5, 3.5)
        small = cv2.resize(grey, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
        grey = np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.float32)
    else:
        grey = np.asarray(cv2.GaussianBlur(grey, (0, 0), rng.uniform(0.5, 2.0)), np.float32)
    return grey


def _lit(grey: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Change gamma, gain and offset, and gain that varies over the image."""
    shape = shape_of(grey)
    grey = grey ** math.exp(rng.normal(0, 0.3))
    grey = grey * math.exp(rng.normal(0, 0.25)) + rng.normal(0, 0.03)
    if rng.random() < 0.4:
        grey = grey * np.exp(0.35 * smooth_noise(shape, shape[1] / rng.uniform(1.5, 5), rng))
    return np.asarray(grey, np.float32)


def _noisy(grey: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Add speckle that scales with the echo, or noise that does not."""
    shape = shape_of(grey)
    if rng.random() < 0.6:
        grain = smooth_noise(shape, rng.uniform(1, 3), rng)
        return np.asarray(grey * (1 + rng.uniform(0.05, 0.3) * grain), np.float32)
    noise = rng.uniform(0.01, 0.06) * rng.standard_normal(shape, np.float32)
    return np.asarray(grey + noise, np.float32)


def _shadow(grey: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Return it with a dark wedge from above, as behind bone."""
    height, width = grey.shape
    middle_px, half_px = rng.uniform(0, width), rng.uniform(0.02, 0.12) * width
    lean = rng.normal(0, 0.3)
    y_px, x_px = np.mgrid[0:height, 0:width].astype(np.float32)
    across = np.abs(x_px - middle_px - lean * y_px) / (half_px * (0.5 + y_px / height))
    depth = np.clip((y_px / height - rng.uniform(-0.3, 0.6)) * 5, 0, 1)
    dark = rng.uniform(0.4, 0.95) * np.exp(-(across**4)) * depth
    return np.asarray(grey * (1 - dark), np.float32)


def _overlay(pixels: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Draw burned-in text, caliper crosses with dotted lines, grey bars and black boxes."""
    height, width = pixels.shape
    result = pixels.copy()

    def anywhere() -> tuple[int, int]:
        return int(rng.uniform(0, width)), int(rng.uniform(0, height))

    def white() -> int:
        return int(rng.integers(150, 256))

    for _ in range(rng.integers(0, 4)):
        text = "".join(rng.choice(list("0123456789 .:ABCDHLMPcmk"), rng.integers(3, 14)))
        cv2.putText(result, text, anywhere(), cv2.FONT_HERSHEY_SIMPLEX, 0.35, white(), 1)
    for _ in range(rng.integers(0, 3)):
        start, end = np.array(anywhere()), np.array(anywhere())
        for point in (start, end):
            cv2.drawMarker(result, tuple(map(int, point)), white(), cv2.MARKER_CROSS, 7, 1)
        for step in np.linspace(0, 1, 25):
            x_px, y_px = (start + step * (end - start)).astype(int)
            result[min(y_px, height - 1), min(x_px, width - 1)] = white()
    if rng.random() < 0.3:
        draw_grey_bar(result, top=5, left=3, height=int(height * 0.4), width=5)
    for _ in range(rng.integers(0, 3)):
        corner_x, corner_y = rng.choice([0, 1]), rng.choice([0, 1])
        box_w, box_h = int(rng.uniform(0.05, 0.25) * width), int(rng.uniform(0.05, 0.2) * height)
        x_px, y_px = corner_x * (width - box_w), corner_y * (height - box_h)
        result[y_px : y_px + box_h, x_px : x_px + box_w] = 0
    return result


def _frame_sector(pixels: GreyImage, rng: np.random.Generator) -> GreyImage:
    """Return it black outside a fan or rectangle: another probe, or an interface around it."""
    height, width = pixels.shape
    y_px, x_px = np.mgrid[0:height, 0:width].astype(np.float32)
    if rng.random() < 0.5:
        apex_px = rng.uniform(0.2, 1.0) * height
        angle_rad = np.arctan2(x_px - width / 2, y_px + apex_px)
        keep = np.abs(angle_rad) < rng.uniform(0.5, 0.9)
    else:
        margin_x, margin_y = rng.uniform(0, 0.15) * width, rng.uniform(0, 0.12) * height
        keep = (x_px > margin_x) & (x_px < width - margin_x)
        keep &= (y_px > margin_y) & (y_px < height - margin_y)
    return np.where(keep, pixels, np.uint8(0))
