"""Whatever goes wrong with one scan ends that scan alone, and its neighbours are measured."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
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


def test_what_was_measured_before_leaves_its_place_to_another(
    instrument: Instrument, requests: list[ScanRequest], tmp_path: Path
) -> None:
    """A batch of four: the first two are known, so it is filled by what comes after."""
    again = [replace(requests[n % 2], scan_id=10 + n) for n in range(4)]
    asked: list[list[int]] = []

    def known(contents: Sequence[tuple[ScanRequest, str]]) -> set[int]:
        asked.append([request.scan_id for request, _ in contents])
        for request, sha256 in contents:
            assert sha256 == hashlib.sha256(Path(request.source).read_bytes()).hexdigest()
        return {0, 1, 12}.intersection(asked[-1])

    all_of_them = [each for each in requests if each.scan_id != 2] + again
    groups = list(instrument.measure_groups(all_of_them, known))
    assert asked == [[0, 1, 3, 10], [11, 12], [13]]
    assert [[request.scan_id for request, _ in group] for group in groups] == [
        [0, 1, 3, 10, 11, 12, 13]
    ]
    found = {request.scan_id: result.status for group in groups for request, result in group}
    assert {each for each, status in found.items() if status is Status.DUPLICATE} == {0, 1, 12}
    assert Status.REJECTED not in found.values()
    assert Status.FAILED not in found.values()


def test_many_that_need_no_network_end_before_the_last_was_read(
    instrument: Instrument, tmp_path: Path
) -> None:
    requests = [ScanRequest(number, str(tmp_path / f"{number}.png")) for number in range(40)]
    groups = list(instrument.measure_groups(requests))
    assert [len(group) for group in groups] == [16, 16, 8]
    assert {result.code for group in groups for _, result in group} == {"file-missing"}
