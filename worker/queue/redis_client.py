"""Clients for short questions to Redis, and its errors as this product's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker.errors import BrokerUnreachable

ANSWER_S = 5.0
"""How long a Redis that lives may take to answer, also while it rewrites its file."""


def connect(url: str) -> redis.Redis:
    """Client for short questions: waits for ``ANSWER_S``, tries once."""
    return redis.Redis.from_url(
        url.replace("redis+socket://", "unix://", 1),
        socket_timeout=ANSWER_S,
        socket_connect_timeout=ANSWER_S,
        retry=Retry(NoBackoff(), 0),
    )


@contextmanager
def translated() -> Iterator[None]:
    """Raise ``BrokerUnreachable`` for any error of Redis's client within the block."""
    try:
        yield
    except redis.RedisError as error:
        raise BrokerUnreachable(str(error)) from error
