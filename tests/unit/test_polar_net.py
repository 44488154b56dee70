"""The network along an outline, and the stream of bands that trains it."""

from __future__ import annotations

import numpy as np
import pytest

from hcmodel.geometry import Ellipse
from hcmodel.polar import CHANNELS, COLUMNS, DIRECTIONS, REACH, ROWS, outline_tensor
from hcmodel.polar_net import get_outline_net
from hcmodel.training.augment import Sample
from hcmodel.training.polar_training import Bands, compiled_outline_net, outline_loss

SHAPE = (540, 800)
HEAD = Ellipse(390.0, 260.0, 205.0, 160.0, 0.4)


def test_the_network_takes_bands_and_gives_offsets() -> None:
    network = get_outline_net()
    band = np.random.default_rng(1).integers(0, 255, (2, ROWS, COLUMNS), np.uint8)
    tensor = outline_tensor(band)
    assert tensor.shape == (2, ROWS, COLUMNS, CHANNELS)
    assert network(tensor).shape == (2, DIRECTIONS)
    assert network.count_params() < 500_000


def test_training_sees_the_same_stream_again_and_other_bands_in_other_epochs() -> None:
    samples: list[Sample] = [(np.asarray(200 * HEAD.coverage(SHAPE), np.uint8), HEAD)] * 3
    first, second = (Bands(samples, augmented=True) for _ in range(2))
    for one, other in zip(first[0], second[0], strict=True):
        np.testing.assert_array_equal(one, other)
    second.epoch = 1
    assert not np.array_equal(first[0][1], second[0][1])
    plain = Bands(samples, augmented=False)
    bands, wanted = plain[0]
    plain.epoch = 1
    np.testing.assert_array_equal(plain[0][0], bands)
    assert bands.shape == (3, ROWS, COLUMNS, CHANNELS)
    assert np.abs(wanted).max() < REACH


def test_the_network_and_its_loss_can_be_drawn_as_a_graph() -> None:
    model = compiled_outline_net(epochs=1, steps=1)
    bands = np.zeros((2, ROWS, COLUMNS, CHANNELS), np.float32)
    wanted = np.full((2, DIRECTIONS), 0.5, np.float32)
    (found,) = np.unique(model.predict(bands, verbose=0))
    loss = model.test_on_batch(bands, wanted)
    assert loss == pytest.approx(2 * (0.5 - found), abs=1e-4)


def test_the_loss_counts_directions_and_the_mean() -> None:
    truth = np.zeros((1, DIRECTIONS), np.float32)
    swollen = np.full_like(truth, 0.1)
    turned = np.where(np.arange(DIRECTIONS) % 2, 0.1, -0.1).astype(np.float32)[None]
    assert float(outline_loss(truth, swollen)[0]) == pytest.approx(0.2)
    assert float(outline_loss(truth, turned)[0]) == pytest.approx(0.1)
