import cv2
import numpy as np
import pytest

from hcmodel.geometry import Ellipse
from hcmodel.preprocess import around, prepare, to_tensor, whole_image

SHAPE = (256, 384)


@pytest.mark.parametrize("size", [(540, 800), (768, 1024), (1000, 300), (120, 160), (256, 384)])
@pytest.mark.parametrize("keep_aspect", [True, False])
def test_a_mark_comes_back_to_where_it_was(size: tuple[int, int], keep_aspect: bool) -> None:
    rows, columns = size
    image = np.zeros(size, np.uint8)
    mark_px = np.array([0.62 * columns, 0.37 * rows]).round()
    cv2.circle(image, tuple(map(int, mark_px)), max(6, rows // 30), 255, -1)
    ready = prepare(image, whole_image(size, SHAPE, keep_aspect=keep_aspect), SHAPE)
    moments = cv2.moments(ready.pixels)
    found = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
    back = ready.to_original[:, :2] @ found + ready.to_original[:, 2]
    assert back == pytest.approx(mark_px, abs=0.3)
    assert ready.original_shape == size


def test_the_aspect_is_kept_and_the_rest_is_black() -> None:
    white = np.full((500, 500), 200, np.uint8)
    ready = prepare(white, whole_image(white.shape, SHAPE, keep_aspect=True), SHAPE)
    assert ready.to_network[0, 0] == ready.to_network[1, 1]
    assert (ready.pixels[:, 64:320] == 200).all()
    assert not ready.pixels[:, :64].any()
    assert not ready.pixels[:, 320:].any()


@pytest.mark.parametrize("size_px", [30.0, 60.0, 130.0, 400.0])
def test_heads_of_all_sizes_look_alike_from_near(size_px: float) -> None:
    head = Ellipse(410.0, 260.0, size_px, 0.8 * size_px, 0.0)
    image = (250 * head.coverage((540, 800))).astype(np.uint8)
    ready = prepare(image, around(head, SHAPE), SHAPE)
    seen = head.transformed(ready.to_network)
    assert seen.center_px == pytest.approx([191.5, 127.5])
    assert 2 * seen.semi_axis_b_px == pytest.approx(0.78 * 256, rel=0.02)
    wanted = Ellipse(191.5, 127.5, seen.semi_axis_a_px, seen.semi_axis_b_px, 0.0).coverage(SHAPE)
    if size_px < 200:  # larger ones are cut by the image
        assert np.abs(ready.pixels / 250 - wanted).mean() < 0.02


def test_the_tensor_is_between_0_and_1() -> None:
    tensor = to_tensor(np.array([[[0, 255]]], np.uint8))
    assert tensor.shape == (1, 1, 2, 1)
    assert tensor.ravel().tolist() == [0, 1]
