"""Measuring in this process, without a broker, into the same ledger."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from worker.intake.discover import Options, Request
from worker.intake.submit import OnIntake, take_in
from worker.measuring.leased import OnFinished, measure_batch
from worker.private_folder import require_temporary
from worker.queue.hints import Hints
from worker.settings import Settings
from worker.store.batches import BatchKind
from worker.store.recovery import free_lost
from worker.store.session import Database


def prepare_run(
    database: Database,
    settings: Settings,
    paths: Iterable[Path],
    options: Options = Options(),  # noqa: B008 - frozen
    on_progress: OnIntake = lambda _: None,
) -> str:
    """Take the files in; return the batch, an interrupted one of the same request again.

    Raises ``OperatorError`` before anything is stored, and ``ServiceUnavailable``.
    """
    require_temporary()
    request = Request.of(paths, options, settings.data_roots)
    return take_in(database, BatchKind.RUN, request, Hints(None), on_progress).batch


def measure_run(
    database: Database,
    settings: Settings,
    batch_id: str,
    on_finished: OnFinished = lambda _claim, _status: None,
) -> int:
    """Measure what is left of the batch; an interrupt keeps what was finished.

    Returns how many scans were finished now. Raises ``ModelMismatch`` and ``ServiceUnavailable``.
    """
    # The network takes seconds to import: only those who measure pay for it.
    from worker.measuring.instrument import open_instrument

    free_lost(database)
    with open_instrument(settings) as instrument:
        return measure_batch(database, instrument, settings, batch_id, on_finished)
