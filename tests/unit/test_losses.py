import numpy as np
import pytest

from hcmodel.geometry import Ellipse
from hcmodel.training.losses import LOSSES, bce_dice, border_bce_dice
from hcmodel.training.recipes import RECIPES

RASTER = (64, 96)
HEAD = Ellipse(48, 32, 30, 22, 0.3)


def _map(head: Ellipse) -> np.ndarray:
    return head.coverage(RASTER).astype(np.float32)[None, :, :, None]


@pytest.mark.parametrize("loss", LOSSES.values())
def test_least_is_lost_on_the_truth_and_more_the_further_from_it(loss) -> None:
    truth = _map(HEAD)
    exact, near, far = (
        float(loss(truth, _map(Ellipse(48 + shift_px, 32, 30, 22, 0.3)))[0])
        for shift_px in (0, 1, 4)
    )
    assert exact < near < far


@pytest.mark.parametrize("loss", LOSSES.values())
def test_an_image_without_a_head_costs_what_was_predicted(loss) -> None:
    empty = np.zeros((1, *RASTER, 1), np.float32)
    assert float(loss(empty, empty)[0]) == pytest.approx(0, abs=1e-5)
    assert float(loss(empty, _map(HEAD))[0]) > 1


def test_a_doubt_on_the_border_costs_more_than_one_in_the_middle() -> None:
    truth = _map(HEAD)
    border, middle = truth.copy(), truth.copy()
    border[0, 32, 78] = middle[0, 32, 48] = 0.5
    added = {
        loss: [float((loss(truth, doubt) - loss(truth, truth))[0]) for doubt in (border, middle)]
        for loss in (bce_dice, border_bce_dice)
    }
    assert added[border_bce_dice][0] > 1.5 * added[border_bce_dice][1]
    assert added[border_bce_dice][1] == pytest.approx(added[bce_dice][1], rel=1e-3)


def test_every_recipe_names_a_loss() -> None:
    assert {recipe.loss for recipe in RECIPES.values()} <= {*LOSSES, "binary_crossentropy"}
