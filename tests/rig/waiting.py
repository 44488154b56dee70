"""Waiting for what must come."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

import redis

from worker.queue.redis_client import connect

LIMIT_S = 90.0


def until(holds: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    """Wait until it holds; fails after ``limit_s``."""
    deadline_s = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come"
        time.sleep(0.02)


def until_answers(server: subprocess.Popen[bytes], url: str) -> None:
    """Wait until a Redis that was started serves: its socket is there before it listens."""

    def serves() -> bool:
        assert server.poll() is None, "redis-server did not start"
        with suppress(redis.RedisError), connect(url) as client:
            return bool(client.ping())
        return False

    until(serves)
