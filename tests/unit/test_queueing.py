"""Mean value analysis by cases that can be followed on paper."""

from __future__ import annotations

import pytest

from worker.bench.queueing import Station, forecast


def test_nobody_waits_alone() -> None:
    told = forecast(1, 0.5, {"database": Station(0.1), "drive": Station(0.4)})
    assert told.images_per_s == pytest.approx(1.0)
    assert told.busy == pytest.approx({"database": 0.1, "drive": 0.4})
    assert told.limit == "drive"


def test_two_at_one_station_wait_for_each_other() -> None:
    # The second finds the first one there: twice 0.5 s, and two of them in every second.
    assert forecast(2, 0.0, {"only": Station(0.5)}).images_per_s == pytest.approx(2.0)
    # With 0.5 s elsewhere: 1/(0.5+0.5) alone with half a customer there; then 2/(0.5+0.75).
    assert forecast(2, 0.5, {"only": Station(0.5)}).images_per_s == pytest.approx(1.6)


def test_many_come_to_what_the_slowest_station_gives() -> None:
    told = forecast(500, 1.0, {"a": Station(0.01), "b": Station(0.02)})
    assert told.images_per_s == pytest.approx(50.0, rel=1e-6)
    assert told.busy["b"] == pytest.approx(1.0, rel=1e-6)
    assert told.busy["a"] == pytest.approx(0.5, rel=1e-6)


def test_several_servers_serve_several() -> None:
    assert forecast(1, 0.0, {"cores": Station(0.1, servers=2)}).images_per_s == pytest.approx(10.0)
    many = forecast(100, 0.0, {"cores": Station(0.1, servers=2)})
    assert many.images_per_s == pytest.approx(20.0, rel=0.02)
