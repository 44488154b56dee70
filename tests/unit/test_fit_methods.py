"""All ways to an ellipse find one that is there; the direct one also through a damaged map."""

import numpy as np
import pytest

from hcmodel.evaluation.fit_methods import by_moments, optimised
from hcmodel.geometry import Ellipse
from hcmodel.preprocess import Prepared, prepare, whole_image

SHAPE = (192, 288)
HEAD = Ellipse(150.3, 92.6, 70.0, 54.0, 0.6)


@pytest.fixture
def prepared() -> Prepared:
    return prepare(
        np.zeros((540, 800), np.uint8), whole_image((540, 800), SHAPE, keep_aspect=True), SHAPE
    )


def test_moments_give_the_ellipse_back() -> None:
    found = by_moments(HEAD.coverage(SHAPE))
    assert found.center_px == pytest.approx(HEAD.center_px, abs=0.05)
    assert found.semi_axis_a_px == pytest.approx(70, abs=0.1)
    assert found.semi_axis_b_px == pytest.approx(54, abs=0.1)


def test_optimising_comes_back_from_a_wrong_start(prepared: Prepared) -> None:
    soft = np.clip(0.5 - HEAD.signed_distance_px(SHAPE) / 4, 0, 1).astype(np.float32)
    found = optimised(Ellipse(153, 90, 66, 57, 0.5), soft, prepared)
    assert found.center_px == pytest.approx(HEAD.center_px, abs=0.1)
    assert found.semi_axis_a_px == pytest.approx(70, abs=0.2)
    assert found.semi_axis_b_px == pytest.approx(54, abs=0.2)


def test_a_hole_at_the_edge_pulls_the_optimum_less_than_the_moments(prepared: Prepared) -> None:
    soft = np.clip(0.5 - HEAD.signed_distance_px(SHAPE) / 4, 0, 1).astype(np.float32)
    soft[60:110, 205:230] = 0
    error_px = [
        abs(found.semi_axis_a_px - 70)
        for found in (optimised(HEAD, soft, prepared), by_moments(soft))
    ]
    assert error_px[0] < error_px[1]
