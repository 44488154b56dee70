"""Whatever goes wrong with one scan ends that scan alone, and its neighbours are measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from hcmodel.arrays import Tensor
from hcmodel.backends.stage import NetworkError
from hcmodel.engine import Engine
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.model_card import SHIPPED
from hcmodel.phantom import draw_phantom
from hcmodel.preprocess import Prepared
from worker.measuring.instrument import Instrument, ScanRequest
from worker.reading.sandbox.pool import ReaderPool
from worker.result import Result, Status
from worker.roots import Roots

pytestmark = pytest.mark.skipif(not SHIPPED.exists(), reason="needs the shipped weights")

SHAPE = (360, 540)
ODD_SHAPE = (361, 540)
HEAD = Ellipse(265.0, 180.0, 125.0, 98.0, 0.3)
SPACING = Spacing(0.25, 0.25)


class Stumbling(Engine):
    """An engine that raises ``error`` for every batch that holds an image of an odd shape."""

    error: Exception = RuntimeError()

    def predict(self, batch: Sequence[Prepared]) -> Tensor:
        if any(image.original_shape == ODD_SHAPE for image in batch):
            raise self.error
        return super().predict(batch)


@pytest.fixture(scope="module")
def engine() -> Stumbling:
    return Stumbling(SHIPPED, batch_size=4)


@pytest.fixture
def requests(tmp_path: Path) -> list[ScanRequest]:
    """Four images, of which the third is of an odd shape."""
    made = []
    for number in range(4):
        shape = ODD_SHAPE if number == 2 else SHAPE
        path = tmp_path / f"{number}.png"
        cv2.imwrite(str(path), draw_phantom(shape, HEAD, np.random.default_rng(number)))
        made.append(ScanRequest(number, str(path), manual=SPACING))
    return made


@pytest.fixture
def instrument(engine: Stumbling) -> Iterator[Instrument]:
    with Instrument(engine, ReaderPool(1), Roots(), "hadlock-1984") as instrument:
        yield instrument


@pytest.mark.parametrize(
    "error",
    [
        NetworkError("InvalidArgumentError"),
        np.linalg.LinAlgError("name of a patient"),
        MemoryError(),
        cv2.error("name of a patient"),
        KeyError("name of a patient"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_one_that_fails_leaves_its_neighbours_alone(
    engine: Stumbling,
    instrument: Instrument,
    requests: list[ScanRequest],
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine.error = error
    results: list[Result] = [result for _, result in instrument.measure(requests)]
    assert [result.code for result in results] == [None, None, "failed", None]
    assert results[2].status is Status.FAILED
    for told in (results[2].message or "", caplog.text):
        assert type(error).__name__ in told
        assert "patient" not in told
        assert "report" not in told


def test_what_ends_the_chunk_is_not_held_back(
    engine: Stumbling, instrument: Instrument, requests: list[ScanRequest]
) -> None:
    class TimeIsUp(Exception):
        """As the queue raises it into a chunk."""

    engine.error = TimeIsUp()
    with pytest.raises(TimeIsUp):
        list(instrument.measure(requests))
