"""One worker on SQLite, and a Redis with an AOF behind a proxy that can go deaf."""

from __future__ import annotations

import time

import pytest

from rig.plant import Plant, Proxy, StartWorker

MANY = 48


@pytest.fixture(scope="module")
def plant(proxied_plant: Plant, start_worker: StartWorker) -> Plant:
    """With a worker that has its network loaded."""
    start_worker(proxied_plant)
    proxied_plant.check(proxied_plant.submit(1), 1)
    return proxied_plant


def test_redis_killed_with_an_aof(plant: Plant) -> None:
    """Given a batch in its middle, when Redis is killed and comes back with it, then it ends."""
    batch = plant.submit(MANY)
    plant.await_middle(batch)
    plant.redis.kill()
    time.sleep(1)
    plant.redis.start()
    plant.check(batch, MANY, attempts=1)


def test_redis_frozen(plant: Plant) -> None:
    """Given a batch in its middle, when Redis is frozen for 20 s, then it and the next one end."""
    batch = plant.submit(MANY)
    plant.await_middle(batch)
    plant.redis.freeze(20)
    plant.check(batch, MANY, attempts=1)
    plant.check(plant.submit(8), 8, attempts=1)


def test_half_open_connections(plant: Plant, proxy: Proxy) -> None:
    """Given a worker, when its connections go deaf without an end, then it makes new ones."""
    batch = plant.submit(MANY)
    plant.await_middle(batch)
    proxy.cut()
    plant.check(batch, MANY, attempts=1)
    plant.check(plant.submit(8), 8, attempts=1)
