"""Waiting for what must come."""

from __future__ import annotations

import time
from collections.abc import Callable

LIMIT_S = 90.0


def until(holds: Callable[[], bool], limit_s: float = LIMIT_S) -> None:
    """Wait until it holds; fails after ``limit_s``."""
    deadline_s = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come"
        time.sleep(0.02)
