"""The one place that decides about another try.

A call is tried again for services out of reach and nothing else; work that goes on beside other
work, for whatever went wrong.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from worker.errors import HcBatchError, ServiceUnavailable
from worker.log import Hindrance

logger = logging.getLogger(__name__)

_FIRST_PAUSE_S = 0.2  # a lock on SQLite or a server that restarts may be over by then
_LONGEST_PAUSE_S = 5.0  # how late the end of an outage may be noticed

Value = TypeVar("Value")


def until_available(act: Callable[[], Value], for_s: float = math.inf) -> Value:
    """Act again while a service is out of reach; return what ``act`` does.

    An outage and its end are a line each in the log. Raises the last ``ServiceUnavailable`` where
    the next try would come after ``for_s``.
    """
    begun_s = time.monotonic()
    pause_s = _FIRST_PAUSE_S
    hindrance = Hindrance(logger, "the service is there again")
    while True:
        try:
            value = act()
        except ServiceUnavailable as error:
            if time.monotonic() - begun_s + pause_s > for_s:
                raise
            hindrance.tell(str(error), f" Next try in {pause_s:.1f} s.")
        else:
            hindrance.tell(None)
            return value
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


@contextmanager
def repeating(
    name: str, act: Callable[[], None], every_s: float, *, at_once: bool
) -> Iterator[None]:
    """Act every ``every_s`` beside the block, in a thread of this name.

    Whatever ``act`` raises is logged once and tried again; where the thread cannot live, its
    process ends, rather than look well while nothing is done.
    """
    done = threading.Event()

    def live() -> None:
        try:
            _repeat(name, act, every_s, done, at_once)
        finally:
            if not done.is_set():
                logger.critical("the %s has ended unasked, so this process ends", name)
                os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=live, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _repeat(
    name: str, act: Callable[[], None], every_s: float, done: threading.Event, at_once: bool
) -> None:
    hindrance = Hindrance(logger, f"the {name} goes on")
    if not at_once:
        done.wait(every_s)
    while not done.is_set():
        try:
            act()
        except HcBatchError as error:
            hindrance.tell(str(error))
        except Exception as error:
            # Without its text, which may quote a file; with the place, for a report.
            place = traceback.extract_tb(error.__traceback__)[-1]
            hindrance.tell(f"the {name}: {type(error).__name__} at {place.filename}:{place.lineno}")
        else:
            hindrance.tell(None)
        done.wait(every_s)
