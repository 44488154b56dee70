"""Watched folders: files are queued as soon as they have stopped changing."""

from __future__ import annotations

import itertools
import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import watchfiles

from worker.errors import FoldersNested
from worker.intake.discover import Options
from worker.intake.submit import Intake, OnIntake
from worker.metrics import WATCH_SCAN_SECONDS
from worker.multiprocess_metrics import Address
from worker.pulse import Pulse
from worker.queue.broker import serving
from worker.queue.exporter import exporting
from worker.queue.publisher import Publisher
from worker.settings import Settings
from worker.store.session import open_database
from worker.watching.mounts import on_network
from worker.watching.stability import WatchOptions
from worker.watching.watched_folder import Inbox

logger = logging.getLogger(__name__)

_BREATH_S = 0.5  # between two looks, however busy the folder: files come in bursts


def watch(
    settings: Settings,
    roots: Sequence[Path],
    options: Options = Options(),  # noqa: B008 - frozen
    how: WatchOptions = WatchOptions(),  # noqa: B008 - frozen
    stop: threading.Event | None = None,
    on_progress: OnIntake = lambda _: None,
    metrics: Address | None = None,
) -> None:
    """Queue what is in the folders and what arrives, until ``stop`` or an interrupt.

    Each root has a batch of its own, whoever watches it. One that is not there is waited for.
    ``metrics``: where to serve them. Raises ``ServiceUnavailable`` where database or broker are
    out of reach at the start, and ``OperatorError``.
    """
    if options.recursive:
        _refuse_nested(roots)
    stop = stop or threading.Event()
    pulse = Pulse(settings.data_dir, "watch", how.interval_s)

    def told(intake: Intake) -> None:
        pulse.beat()
        on_progress(intake)

    with (
        _stopped_by_sigterm(stop),
        serving(settings) as broker_url,
        open_database(settings) as database,
        exporting(metrics, database, broker_url, [settings.data_dir, *roots]),
        closing(Publisher(settings, broker_url)) as publisher,
    ):
        inboxes = [Inbox(database, publisher, settings, root, options, how, told) for root in roots]
        for _ in _wakes([inbox.root for inbox in inboxes], how, options.recursive, stop):
            pulse.beat()
            for inbox in inboxes:
                with WATCH_SCAN_SECONDS.time():
                    inbox.look(stop)


def _refuse_nested(roots: Sequence[Path]) -> None:
    real = [Path(os.path.realpath(root)) for root in roots]
    for (inner, given), outer in itertools.permutations(zip(real, roots, strict=True), 2):
        if inner.is_relative_to(outer[0]):
            raise FoldersNested(f"{given} in {outer[1]}")


@contextmanager
def _stopped_by_sigterm(stop: threading.Event) -> Iterator[None]:
    """Set ``stop`` on SIGTERM, and where the terminal goes, so that nothing is left behind.

    Only the main thread may say so: in another one the caller has its own way.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ends = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # else it is to outlive its terminal
        ends.append(signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in ends}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _wakes(
    roots: Sequence[Path], how: WatchOptions, recursive: bool, stop: threading.Event
) -> Iterator[object]:
    """Yield when to look: at once, at each interval, on a local disk soon after a change."""
    yield None
    local = [root for root in roots if root.is_dir() and not on_network(root)]
    if local and not how.polling:
        try:
            for changes in watchfiles.watch(
                *local,
                watch_filter=None,
                stop_event=stop,
                rust_timeout=int(how.interval_s * 1000),
                yield_on_timeout=True,
                recursive=recursive,
            ):
                yield changes
                stop.wait(min(_BREATH_S, how.interval_s))
        except (OSError, RuntimeError) as error:
            logger.warning("no events, polling instead: %s", error)
    while not stop.wait(how.interval_s):
        yield None
