"""What a worker does with a message: a chunk of scans' ids."""

from __future__ import annotations

import logging
import traceback
from functools import cache
from typing import TYPE_CHECKING, TypeGuard

from billiard.exceptions import SoftTimeLimitExceeded
from celery import Task, shared_task

from worker import log
from worker.errors import HcBatchError
from worker.measuring.leased import measure_ids
from worker.queue.celery_app import TASK
from worker.settings import Settings
from worker.store.session import Database, make_engine

if TYPE_CHECKING:
    from worker.measuring.instrument import Instrument

logger = logging.getLogger(__name__)

_CHUNK_LIMIT = 1000  # the most that HC_CHUNK_SIZE allows
_LARGEST_ID = 2**63 - 1  # of a BIGINT


@shared_task(name=TASK, max_retries=3, bind=True)
def measure_chunk(task: Task[[object], None], scan_ids: object) -> None:
    """Measure those of the scans that the ledger still has to give."""
    with log.about(task=task.request.id):
        _measure(scan_ids)


def _measure(scan_ids: object) -> None:
    if not _is_chunk(scan_ids):
        logger.error("refused a message that is no list of scans' ids")
        return
    try:
        finished = measure_ids(
            _database(), _instrument, _settings(), scan_ids, SoftTimeLimitExceeded
        )
    except HcBatchError as error:
        logger.error("%s", error)
    except Exception as error:
        # Without its text, which may quote what a file says about a patient.
        trace = "".join(traceback.format_tb(error.__traceback__))
        logger.error("%s while measuring a chunk\n%s", type(error).__name__, trace)
    else:
        logger.info("finished %d scans", finished)


def _is_chunk(scan_ids: object) -> TypeGuard[list[int]]:
    return (
        isinstance(scan_ids, list)
        and len(scan_ids) <= _CHUNK_LIMIT
        and all(type(scan_id) is int and 0 < scan_id <= _LARGEST_ID for scan_id in scan_ids)
    )


# Once per process of the pool: the network takes seconds to load.


@cache
def _settings() -> Settings:
    return Settings.from_environment()


@cache
def _database() -> Database:
    return Database(make_engine(_settings().database_url))


@cache
def _instrument() -> Instrument:
    # The supervising process does not measure, and need not hold what does.
    from worker.measuring.instrument import open_instrument

    return open_instrument(_settings())
