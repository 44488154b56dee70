"""Throughput of workers that share a database and a drive, by mean value analysis.

A scan that a worker has in hand is a customer of a closed network: it spends its think time with
the worker, which shares it with nobody, and queues for what all workers share. Exact mean value
analysis for one class: Reiser and Lavenberg, Journal of the ACM 27 (1980) 313. A station of m
servers counts as one that is m times as fast, after a delay: Seidmann, Schweitzer and Shalev-Oren,
Management Science 33 (1987) 1306.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Station:
    """What is shared: seconds of it that one image needs, and how many servers it has."""

    demand_s: float
    servers: int = 1


@dataclass(frozen=True, slots=True)
class Forecast:
    """Images per second, the share of time in which each station is busy, and the busiest."""

    images_per_s: float
    busy: Mapping[str, float]

    @property
    def limit(self) -> str:
        """The station that is reached first."""
        return max(self.busy, key=lambda name: self.busy[name])


def forecast(in_hand: int, think_s: float, stations: Mapping[str, Station]) -> Forecast:
    """Return what ``in_hand`` images at the same time come to.

    ``think_s``: seconds that one image spends where it waits for nobody.
    """
    queued = dict.fromkeys(stations, 0.0)
    rate = 0.0
    for customers in range(1, in_hand + 1):
        stay_s = {
            name: station.demand_s / station.servers * (1 + queued[name])
            + station.demand_s * (station.servers - 1) / station.servers
            for name, station in stations.items()
        }
        rate = customers / (think_s + sum(stay_s.values()))
        queued = {
            name: rate * station.demand_s / station.servers * (1 + queued[name])
            for name, station in stations.items()
        }
    busy = {name: rate * each.demand_s / each.servers for name, each in stations.items()}
    return Forecast(rate, busy)
