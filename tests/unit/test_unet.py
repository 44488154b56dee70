import numpy as np
import pytest
from keras import layers

from hcmodel.training.recipes import HC18, NOTEBOOK
from hcmodel.unet import get_unet
from hcmodel.unet_config import UNetConfig


def test_the_notebooks_network_is_as_it_was() -> None:
    model = get_unet(NOTEBOOK.network)
    assert model.input_shape == (None, 256, 256, 1)
    assert model.output_shape == (None, 256, 256, 1)
    kinds = [type(layer) for layer in model.layers]
    assert kinds.count(layers.Conv2D) == 2 * 9 + 1
    assert kinds.count(layers.BatchNormalization) == 2 * 9
    assert kinds.count(layers.MaxPooling2D) == 4
    assert kinds.count(layers.Conv2DTranspose) == 4
    assert model.layers[-1].activation.__name__ == "sigmoid"


def test_the_second_convolution_takes_the_first() -> None:
    model = get_unet(NOTEBOOK.network)
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    first, second = convolutions[:2]
    assert first.kernel.shape == (3, 3, 1, 16)
    assert second.kernel.shape == (3, 3, 16, 16)


@pytest.mark.parametrize("stride", [1, 2])
def test_output_covers_the_input_in_probabilities(stride: int) -> None:
    config = UNetConfig(32, 48, width=4, depth=2, stem_stride=stride)
    model = get_unet(config)
    probability = np.asarray(model(np.random.default_rng(1).random((2, 32, 48, 1), np.float32)))
    assert probability.shape == (2, 32, 48, 1)
    assert ((probability >= 0) & (probability <= 1)).all()


def test_side_outputs_are_coarser_and_fall_away() -> None:
    shapes = get_unet(HC18.network, side_outputs=2).output_shape
    assert shapes == [(None, 128, 192, 1), (None, 32, 48, 1), (None, 16, 24, 1)]
    assert get_unet(HC18.network).output_shape == (None, 128, 192, 1)
