"""Words on pictures, in letters that are the same on every machine."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from hcmodel.arrays import ColorImage, FloatImage

Color = tuple[int, int, int]
"""Blue, green, red."""


@cache
def _font(size_px: int, bold: bool) -> ImageFont.FreeTypeFont:
    # DejaVu Sans comes with the library of plots; importing that one takes a moment.
    from matplotlib import get_data_path

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(get_data_path(), "fonts", "ttf", name), size_px)


def width_of(text: str, size_px: int, *, bold: bool = False) -> int:
    """Return how wide a line is, in px."""
    return round(_font(size_px, bold).getlength(text))


def wrapped(text: str, size_px: int, room_px: int) -> list[str]:
    """Return lines of at most ``room_px``, broken between words; a longer word keeps its line."""
    lines: list[str] = []
    for word in text.split():
        if lines and width_of(f"{lines[-1]} {word}", size_px) <= room_px:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def coverage_of(text: str, size_px: int, *, bold: bool = False) -> FloatImage:
    """Return how far letters cover each pixel, 0 to 1, in a box as high as any letter needs."""
    font = _font(size_px, bold)
    ascent_px, descent_px = font.getmetrics()
    size = (width_of(text, size_px, bold=bold) + 2, ascent_px + descent_px)
    box = Image.new("L", size)
    ImageDraw.Draw(box).text((0, 0), text, fill=255, font=font)
    return np.asarray(box, np.float32) / np.float32(255)


def write(
    image: ColorImage,
    text: str,
    at: tuple[int, int],
    size_px: int,
    color: Color,
    bold: bool = False,
) -> None:
    """Write a line into ``(rows, columns, 3)`` uint8, in place.

    ``at``: left and top of its box, in px; what lies outside the image is left out.
    """
    if text:
        blend(image, coverage_of(text, size_px, bold=bold), at, color)


def blend(image: ColorImage, coverage: FloatImage, at: tuple[int, int], color: Color) -> None:
    """Lay a colour over an image as far as ``coverage`` says, in place; parts outside are lost."""
    left, top = max(0, at[0]), max(0, at[1])
    right = min(image.shape[1], at[0] + coverage.shape[1])
    bottom = min(image.shape[0], at[1] + coverage.shape[0])
    if right <= left or bottom <= top:
        return
    share = coverage[top - at[1] : bottom - at[1], left - at[0] : right - at[0], None]
    part = image[top:bottom, left:right]
    shade = np.array(color, np.float32)
    image[top:bottom, left:right] = (part + share * (shade - part) + 0.5).astype(np.uint8)
