"""What arrives over the network, received into a folder and taken in as watched files are."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from pathlib import Path

from worker.hospital.landing import COMPLETE, Landing
from worker.hospital.receiver import IDLE_S, Listening, listening
from worker.intake.discover import Options
from worker.intake.submit import OnIntake
from worker.multiprocess_metrics import Address
from worker.retry import repeating, until_available
from worker.settings import Settings
from worker.watching.stability import WatchOptions
from worker.watching.watch import watch

logger = logging.getLogger(__name__)

LEAST_FREE_BYTES = 1024**3
QUIET_S = 10.0
_LOOK_S = 1.0


def receive(
    settings: Settings,
    folder: Path,
    how: Listening,
    options: Options,
    watching: WatchOptions,
    *,
    quiet_s: float = QUIET_S,
    least_free_bytes: int = LEAST_FREE_BYTES,
    stop: threading.Event | None = None,
    on_progress: OnIntake = lambda _: None,
    metrics: Address | None = None,
) -> None:
    """Receive objects and queue them, until ``stop`` or an interrupt.

    A study is queued when nothing of it has arrived for ``quiet_s``; while database or broker are
    out of reach it waits. Raises ``OperatorError`` as ``watch`` and ``listening`` do.
    """
    landing = Landing(folder, least_free_bytes, quiet_s)

    def tidy() -> None:
        landing.complete_quiet()
        landing.sweep(rest_s=2 * IDLE_S)  # by then its association has ended

    with (
        landing.opened(),
        listening(landing, how),
        repeating("receiver's tidying", tidy, min(_LOOK_S, quiet_s), at_once=False),
    ):
        logger.info("listening at %s:%d as %s", how.host, how.port, how.title)
        # Objects are received all the same while database or broker are not there yet.
        until_available(
            lambda: watch(
                settings,
                [landing.folder],
                options,
                replace(watching, marker=COMPLETE),
                stop,
                on_progress,
                metrics,
            )
        )
