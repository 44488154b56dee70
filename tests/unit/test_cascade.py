"""Looking twice, with a network that finds bright ground: its answer is known exactly."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from hcmodel.cascade import find_heads
from hcmodel.engine import Engine
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.model_card import Card, file_sha256
from hcmodel.polar import CHANNELS, COLUMNS, DIRECTIONS, ROWS
from hcmodel.training.train import joined
from hcmodel.unet_config import UNetConfig

# Keras asks TensorFlow for copies in a way that NumPy 2 has given up.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPE = (540, 800)
SMALL = Ellipse(310.3, 215.8, 46.0, 37.0, 0.6)


def engine(folder: Path, *, second_look: bool, offset: float | None = None) -> Engine:
    """Weights whose map is the image itself, with more contrast.

    With an ``offset``, a second network finds every outline there.
    """
    network = UNetConfig(
        128, 192, keep_aspect=True, second_look=second_look, outline_look=offset is not None
    )
    image = keras.Input((128, 192, 1))
    sharpen = layers.Conv2D(1, 1, activation="sigmoid")
    model = keras.Model(image, sharpen(image))
    sharpen.set_weights([np.full((1, 1, 1, 1), 30.0), np.array([-15.0])])
    weights = folder / "bright.keras"
    if offset is not None:
        band = keras.Input((ROWS, COLUMNS, CHANNELS))
        everywhere = layers.Dense(DIRECTIONS)
        along = keras.Model(band, everywhere(layers.GlobalAveragePooling2D()(band)))
        everywhere.set_weights([np.zeros((CHANNELS, DIRECTIONS)), np.full(DIRECTIONS, offset)])
        model = joined(model, along)
    model.save(weights)
    Card("bright", file_sha256(weights), network, "bright", {}).write(weights)
    return Engine(weights, batch_size=2)


def picture(*heads: Ellipse) -> np.ndarray:
    return np.asarray(255 * sum(head.coverage(SHAPE) for head in heads), np.uint8)


def test_from_near_a_small_head_is_measured_closer(tmp_path: Path) -> None:
    twice = engine(tmp_path, second_look=True)
    (head,) = find_heads([twice.prepare(picture(SMALL), None)], twice)
    assert head is not None
    assert head.zoomed is not None
    assert head.last is head.zoomed
    off_px = [
        abs(fit.ellipse.semi_axis_a_px - 46) + abs(fit.ellipse.semi_axis_b_px - 37)
        for fit in (head.whole, head.zoomed)
    ]
    assert off_px[1] < 0.2
    assert off_px[1] < off_px[0]
    assert 0 < head.disagreement < 0.05


def test_a_network_that_looks_once_has_one_look(tmp_path: Path) -> None:
    once = engine(tmp_path, second_look=False)
    (head,) = find_heads([once.prepare(picture(SMALL), None)], once)
    assert head is not None
    assert head.zoomed is None
    assert head.last is head.whole
    assert head.disagreement == 0


@pytest.mark.parametrize("second_look", [False, True])
def test_images_without_a_head_leave_their_neighbours_alone(
    tmp_path: Path, second_look: bool
) -> None:
    found = engine(tmp_path, second_look=second_look)
    blank = np.zeros(SHAPE, np.uint8)
    images = [blank, picture(SMALL), blank, picture(Ellipse(400, 270, 200, 160, 0.1))]
    heads = find_heads([found.prepare(pixels, None) for pixels in images], found)
    assert [head is not None for head in heads] == [False, True, False, True]
    assert heads[3] is not None
    assert heads[3].last.ellipse.semi_axis_a_px == pytest.approx(200, abs=1)


def test_pixels_that_are_not_square_do_not_change_what_the_network_sees(tmp_path: Path) -> None:
    twice = engine(tmp_path, second_look=True)
    spacing = Spacing(row_mm=0.3, column_mm=0.2)
    squashed = SMALL.transformed(np.array([[1.0, 0, 0], [0, 1 / 1.5, -1 / 6]]))
    flat = np.asarray(255 * squashed.coverage((360, 800)), np.uint8)
    (square,) = find_heads([twice.prepare(picture(SMALL), Spacing(0.2, 0.2))], twice)
    (other,) = find_heads([twice.prepare(flat, spacing)], twice)
    assert square is not None
    assert other is not None
    hc_mm = square.last.ellipse.circumference_mm(Spacing(0.2, 0.2))
    assert other.last.ellipse.circumference_mm(spacing) == pytest.approx(hc_mm, rel=0.003)
    assert other.last.ellipse.semi_axes_mm(spacing) == pytest.approx((9.2, 7.4), rel=0.01)


@pytest.mark.parametrize("second_look", [False, True])
def test_the_outline_corrects_the_last_look(tmp_path: Path, second_look: bool) -> None:
    found = engine(tmp_path, second_look=second_look, offset=0.02)
    images = [found.prepare(each, None) for each in (np.zeros(SHAPE, np.uint8), picture(SMALL))]
    nothing, head = find_heads(images, found, outline_scale=1.5)
    assert nothing is None
    assert head is not None
    last = head.last.ellipse
    assert head.ellipse.center_px == pytest.approx(last.center_px, abs=0.01)
    assert head.ellipse.semi_axis_a_px == pytest.approx(1.5 * 1.02 * last.semi_axis_a_px, rel=1e-4)
    assert head.ellipse.semi_axis_b_px == pytest.approx(1.5 * 1.02 * last.semi_axis_b_px, rel=1e-4)
    assert find_heads(images[:1], found) == [None]


def test_an_outline_that_is_none_changes_nothing(tmp_path: Path) -> None:
    lost = engine(tmp_path, second_look=True, offset=-1.0)
    (head,) = find_heads([lost.prepare(picture(SMALL), None)], lost)
    assert head is not None
    assert head.contour is None
    assert head.ellipse == head.last.ellipse
