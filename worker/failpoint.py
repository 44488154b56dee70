"""Deaths on demand, so that tests can show what a death at that very point costs."""

from __future__ import annotations

import os
from functools import cache

from worker.private_folder import make_private
from worker.settings import Settings


def hit(point: str) -> None:
    """Kill this process where ``HC_FAILPOINT`` says so, once for each data directory."""
    settings = _settings()
    if point not in settings.failpoints:
        return
    make_private(settings.data_dir)
    try:
        (settings.data_dir / f"failpoint-{point}").touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), settings.failpoints[point])


@cache
def _settings() -> Settings:
    return Settings.from_environment()
