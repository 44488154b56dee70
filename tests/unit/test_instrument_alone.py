"""Whatever goes wrong with one scan ends that scan alone, and its neighbours are measured."""

from __future__ import annotations

import hashlib
import sys
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

    def __init__(self) -> None:
        super().__init__(SHIPPED, batch_size=4)
        self.looks: list[int] = []

    def predict(self, batch: Sequence[Prepared]) -> Tensor:
        self.looks.append(len(batch))
        if any(image.original_shape == ODD_SHAPE for image in batch):
            raise self.error
        return super().predict(batch)


@pytest.fixture(scope="module")
def engine() -> Stumbling:
    return Stumbling()


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
    engine: Stumbling, instrument: Instrument, requests: list[ScanRequest]
) -> None:
    """A batch of four: the first two are known, so it is filled by what comes after."""
    again = [replace(requests[n % 2], scan_id=10 + n) for n in range(4)]
    asked: list[int] = []

    def known(contents: Sequence[tuple[ScanRequest, str]]) -> set[int]:
        for request, sha256 in contents:
            assert sha256 == hashlib.sha256(Path(request.source).read_bytes()).hexdigest()
        asked.extend(request.scan_id for request, _ in contents)
        return {0, 1, 12} & {request.scan_id for request, _ in contents}

    engine.looks.clear()
    all_of_them = [each for each in requests if each.scan_id != 2] + again
    (group,) = instrument.measure_groups(all_of_them, known)
    numbers = [0, 1, 3, 10, 11, 12, 13]
    assert asked == numbers
    assert [request.scan_id for request, _ in group] == numbers
    assert engine.looks == [4, 4]  # at the whole images, and closer
    duplicates = {request.scan_id for request, result in group if result.status == "duplicate"}
    assert duplicates == {0, 1, 12}
    assert {result.status for _, result in group} <= {"duplicate", "measured", "flagged"}


def test_results_do_not_wait_for_all_the_rest(instrument: Instrument, tmp_path: Path) -> None:
    """Sixteen that need no network are four batches: they end while others are still asked for."""
    asked: list[int] = []

    def requests() -> Iterator[ScanRequest]:
        for number in range(100):
            asked.append(number)
            yield ScanRequest(number, str(tmp_path / f"{number}.png"))

    ended: list[int] = []
    for group in instrument.measure_groups(requests()):
        assert {result.code for _, result in group} == {"file-missing"}
        assert len(group) <= 32
        ended += [request.scan_id for request, _ in group]
        if len(ended) == len(group):
            assert len(asked) < 100
    assert ended == asked == list(range(100))


def test_a_result_waits_a_second_for_others_at_most(
    instrument: Instrument, requests: list[ScanRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[Instrument.__module__], "_HELD_BACK_S", 0.0)
    several = [replace(requests[n % 2], scan_id=n) for n in range(32)]
    groups = list(instrument.measure_groups(several))
    assert [request.scan_id for group in groups for request, _ in group] == list(range(32))
    assert len(groups) > 4
