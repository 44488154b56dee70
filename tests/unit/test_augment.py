"""Whatever is done to an image in training, its truth must follow."""

import numpy as np
import pytest

from hcmodel.geometry import Ellipse
from hcmodel.preprocess import whole_image
from hcmodel.training.augment import Sample, Scanners, flip_left_right
from hcmodel.training.recipes import Augment

SHAPE, RASTER = (540, 800), (160, 224)
HEAD = Ellipse(330.0, 300.0, 120.0, 90.0, 0.4)
TO_NETWORK = whole_image(SHAPE, RASTER, keep_aspect=True)


@pytest.fixture(scope="module")
def sample() -> Sample:
    """A white head on grey."""
    return (50 + 200 * HEAD.coverage(SHAPE)).astype(np.uint8), HEAD


@pytest.mark.parametrize(
    "augment",
    [
        flip_left_right,
        Scanners(view=0.3, look=0.0),
        Scanners(view=0.8, look=0.0),
        Scanners(view=0.3, look=0.0, near=1.0),
        Scanners(view=0.8, look=0.0, near=0.5),
    ],
)
def test_the_truth_follows_the_image(augment: Augment, sample: Sample) -> None:
    for seed in range(20):
        pixels, head = augment(sample, TO_NETWORK, RASTER, np.random.default_rng(seed))
        assert pixels.shape == RASTER
        assert head is not None
        inside = head.coverage(RASTER)
        assert pixels[inside == 1].mean() > 150
        assert pixels[inside == 0].mean() < 90


def test_from_near_heads_fill_most_of_the_raster(sample: Sample) -> None:
    heads = [
        Scanners(view=0.2, look=0.2, near=1.0)(
            sample, TO_NETWORK, RASTER, np.random.default_rng(seed)
        )[1]
        for seed in range(100)
    ]
    lengths_px = np.array([2 * head.semi_axis_a_px for head in heads if head is not None])
    assert lengths_px.min() > 0.45 * RASTER[1]
    # The size must not give the answer away: it varies far more than a first look errs.
    assert lengths_px.std() / lengths_px.mean() > 0.05


def test_the_same_seed_gives_the_same_sample(sample: Sample) -> None:
    augment = Scanners(view=0.8, look=0.6, near=0.5, negatives=0.2)
    for seed in range(10):
        one, other = (
            augment(sample, TO_NETWORK, RASTER, np.random.default_rng(seed)) for _ in range(2)
        )
        np.testing.assert_array_equal(one[0], other[0])
        assert one[1] == other[1]


def test_a_negative_has_no_head(sample: Sample) -> None:
    augment = Scanners(view=0.2, look=0.0, near=1.0, negatives=1.0)
    for seed in range(10):
        assert augment(sample, TO_NETWORK, RASTER, np.random.default_rng(seed))[1] is None
