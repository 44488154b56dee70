"""Changed images must keep their truth, or robustness would be judged against a wrong one."""

import numpy as np
import pytest

from hcmodel.evaluation.metrics import dice
from hcmodel.evaluation.negatives import NEGATIVES
from hcmodel.evaluation.perturbations import CHANGES, Shown
from hcmodel.geometry import Ellipse, Spacing

SHAPE = (270, 400)
HEAD = Ellipse(190.0, 140.0, 90.0, 70.0, 0.4)


@pytest.fixture
def shown() -> Shown:
    """A white head on grey."""
    pixels = (40 + 160 * HEAD.coverage(SHAPE)).astype(np.uint8)
    return Shown(pixels, Spacing(0.3, 0.3), HEAD)


@pytest.mark.parametrize("name", CHANGES)
def test_the_truth_moves_with_the_image(name: str, shown: Shown) -> None:
    changed = CHANGES[name](shown, np.random.default_rng(1))
    truth_mm = shown.truth.circumference_mm(shown.spacing)
    assert changed.truth.circumference_mm(changed.spacing) == pytest.approx(truth_mm, rel=2e-3)
    assert changed.pixels.dtype == np.uint8
    shape = (changed.pixels.shape[0], changed.pixels.shape[1])
    head = changed.truth.coverage(shape) > 0.5
    if name != "a black box":
        assert changed.pixels[head].mean() > changed.pixels[~head].mean() + 15
    assert dice(changed.truth, changed.truth, shape) == 1


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "as it is"])
def test_every_change_changes_something(name: str, shown: Shown) -> None:
    changed = CHANGES[name](shown, np.random.default_rng(1))
    same_shape = changed.pixels.shape == shown.pixels.shape
    assert not same_shape or (changed.pixels != shown.pixels).any()


@pytest.mark.parametrize("name", NEGATIVES)
def test_negatives_hold_no_head(name: str, shown: Shown) -> None:
    pixels = NEGATIVES[name](shown, np.random.default_rng(1))
    assert (pixels.shape, pixels.dtype) == (SHAPE, np.uint8)
    head = HEAD.coverage(SHAPE) > 0.5
    assert np.mean(pixels[head] > 150) < 0.9
    assert (pixels != shown.pixels).any()
