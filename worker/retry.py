"""The one place that decides about another try: for services out of reach, and nothing else."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import TypeVar

from worker.errors import ServiceUnavailable

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0

Value = TypeVar("Value")


def until_available(act: Callable[[], Value], for_s: float = math.inf) -> Value:
    """Does it again while a service is out of reach, and says so; at the end raises its error."""
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
