"""What a table of ratios says, and when it says that speed was lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.bench.alternating import ROUNDS, Ratio, alternated, ratio
from worker.bench.kept import fallen, write_kept


def test_a_ratio_is_the_median_with_quartiles() -> None:
    line = ratio("run", [0.9, 0.5, 0.7, 0.6, 0.8], 0.7, "how")
    assert (line.low, line.value, line.high) == pytest.approx((0.55, 0.7, 0.85))
    assert line.holds


@pytest.mark.parametrize(
    ("value", "is_cost", "holds"),
    [(0.749, False, False), (0.75, False, True), (0.75, True, True), (0.751, True, False)],
)
def test_what_must_be_reached(value: float, is_cost: bool, holds: bool) -> None:
    assert ratio("r", [value], 0.75, "how", is_cost=is_cost).holds is holds


def test_ways_take_turns() -> None:
    order: list[str] = []
    taken = alternated({name: lambda name=name: order.append(name) for name in "ab"})  # type: ignore[misc]
    assert {name: len(each) for name, each in taken.items()} == {"a": ROUNDS, "b": ROUNDS}
    assert "".join(order)[:8] == "ab" + "ba" + "ab" + "ba"


def kept_and(now: float, is_cost: bool, path: Path) -> list[str]:
    write_kept(path, [Ratio("r", 1.0, 1.0, 1.0, 1.0, "how", is_cost)])
    return fallen(path, [Ratio("r", now, now, now, 1.0, "how", is_cost)])


@pytest.mark.parametrize(
    ("now", "is_cost", "falls"),
    [(0.86, False, False), (0.84, False, True), (1.16, True, False), (1.19, True, True)],
)
def test_speed_that_was_lost_is_named(
    now: float, is_cost: bool, falls: bool, tmp_path: Path
) -> None:
    said = kept_and(now, is_cost, tmp_path / "ratios.json")
    assert said == ([f"r: {now:.2f}, was 1.00"] if falls else [])


def test_a_ratio_that_nobody_kept_is_no_loss(tmp_path: Path) -> None:
    write_kept(tmp_path / "kept.json", [])
    assert fallen(tmp_path / "kept.json", [Ratio("r", 0.1, 0.1, 0.1, 1.0, "how")]) == []
