"""The one place that decides about another try: for services out of reach, and nothing else."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import TypeVar

from worker.errors import ServiceUnavailable

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.2  # a lock on SQLite or a server that restarts may be over by then
_LONGEST_PAUSE_S = 5.0  # how late the end of an outage may be noticed

Value = TypeVar("Value")


def until_available(act: Callable[[], Value], for_s: float = math.inf) -> Value:
    """Act again while a service is out of reach, and log it; return what ``act`` does.

    Raises the last ``ServiceUnavailable`` where the next try would come after ``for_s``.
    """
    begun_s = time.monotonic()
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return act()
        except ServiceUnavailable as error:
            if time.monotonic() - begun_s + pause_s > for_s:
                raise
            logger.warning("%s Next try in %.1f s.", error, pause_s)
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
