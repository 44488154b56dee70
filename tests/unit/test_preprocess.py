import cv2
import numpy as np
import pytest

from hcmodel.preprocess import prepare, to_tensor


@pytest.mark.parametrize("size", [(540, 800), (768, 1024), (1000, 300), (120, 160), (256, 384)])
@pytest.mark.parametrize("keep_aspect", [True, False])
def test_a_mark_comes_back_to_where_it_was(size: tuple[int, int], keep_aspect: bool) -> None:
    rows, columns = size
    image = np.zeros(size, np.uint8)
    mark_px = np.array([0.62 * columns, 0.37 * rows]).round()
    cv2.circle(image, tuple(map(int, mark_px)), max(6, rows // 30), 255, -1)
    ready = prepare(image, (256, 384), keep_aspect=keep_aspect)
    moments = cv2.moments(ready.pixels)
    found = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
    back = ready.to_original[:, :2] @ found + ready.to_original[:, 2]
    assert back == pytest.approx(mark_px, abs=0.3)
    assert ready.original_shape == size


def test_the_aspect_is_kept_and_the_rest_is_black() -> None:
    ready = prepare(np.full((500, 500), 200, np.uint8), (256, 384), keep_aspect=True)
    assert ready.to_network[0, 0] == ready.to_network[1, 1]
    assert (ready.pixels[:, 64:320] == 200).all()
    assert not ready.pixels[:, :64].any()
    assert not ready.pixels[:, 320:].any()


def test_the_tensor_is_between_0_and_1() -> None:
    tensor = to_tensor(np.array([[[0, 255]]], np.uint8))
    assert tensor.shape == (1, 1, 2, 1)
    assert tensor.ravel().tolist() == [0, 1]
