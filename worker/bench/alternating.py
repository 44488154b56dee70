"""Two ways to do the same, in turn: what else runs on the machine slows both, not their ratio."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

ROUNDS = 5

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Ratio:
    """A line of the table: the median of the rounds with its quartiles, and how it was measured.

    ``must``: what it is to reach; at least, or at most where ``is_cost``.
    """

    name: str
    value: float
    low: float
    high: float
    must: float
    method: str
    is_cost: bool = False

    @property
    def holds(self) -> bool:
        """Whether what must be reached is."""
        return self.value <= self.must if self.is_cost else self.value >= self.must


def seconds(work: Work) -> float:
    """Return the wall time of one piece of work in seconds."""
    begun_s = time.perf_counter()
    work()
    return time.perf_counter() - begun_s


def alternated(ways: Mapping[str, Work]) -> dict[str, list[float]]:
    """Return each way's seconds, round by round, after a first one that warms up."""
    for work in ways.values():
        work()
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS):
        # Forwards and backwards: none always comes after the same other one.
        for name in list(ways)[:: 1 if number % 2 else -1]:
            taken[name].append(seconds(ways[name]))
    return taken


def ratio(
    name: str, values: list[float], must: float, method: str, *, is_cost: bool = False
) -> Ratio:
    """Return the line of a ratio that was measured once in every round."""
    low, value, high = statistics.quantiles(values, n=4) if len(values) > 1 else (values[0],) * 3
    return Ratio(name, value, low, high, must, method, is_cost)
