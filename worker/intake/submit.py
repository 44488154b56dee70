"""Files into the ledger, and their ids to the workers: rows first, then messages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from worker import failpoint
from worker.intake.discover import Options, Request
from worker.intake.exam_reports import read_reports
from worker.queue.hints import Hints
from worker.roots import Roots
from worker.settings import Settings
from worker.store.batches import (
    BatchKind,
    NewScan,
    NewSkip,
    finish_intake,
    insert_scans,
    insert_skipped,
    open_batch,
)
from worker.store.references import insert_references
from worker.store.session import Database, open_database

_PART_ROWS = 2048
"""Scans and skips to a transaction: one commit for many rows."""
_PART_S = 2.0
"""After which a part is taken though it is small, so that workers begin while a slow drive is read.
"""


@dataclass(frozen=True, slots=True)
class Intake:
    """How far files have been taken in; ``new``: scans that the batch did not hold before."""

    batch: str
    found: int = 0
    new: int = 0
    skipped: int = 0

    def __add__(self, more: Intake) -> Intake:
        """Both together, of one batch."""
        return Intake(
            batch=self.batch,
            found=self.found + more.found,
            new=self.new + more.new,
            skipped=self.skipped + more.skipped,
        )


@dataclass(frozen=True, slots=True)
class Submission:
    """A batch that waits for workers.

    ``published``: the broker has it all. Where not, the next worker finds it in the ledger.
    """

    batch: str
    found: int
    new: int
    skipped: int
    published: bool
    workers_listening: bool


OnIntake = Callable[[Intake], None]


def submit(
    settings: Settings,
    paths: Iterable[Path],
    options: Options = Options(),  # noqa: B008 - frozen
    on_progress: OnIntake = lambda _: None,
) -> Submission:
    """Queue the files; the same again, after an interrupt, goes on without doubles.

    Raises an ``OperatorError`` before anything is inserted, and ``ServiceUnavailable``.
    """
    # Loads Celery: only those who queue pay for it.
    from worker.queue.publisher import reachable_publisher

    request = Request.of(paths, options, settings.data_roots)
    with open_database(settings) as database, reachable_publisher(settings) as publisher:
        hints = Hints(publisher)
        intake = take_in(database, BatchKind.SUBMIT, request, hints, on_progress)
        return Submission(
            batch=intake.batch,
            found=intake.found,
            new=intake.new,
            skipped=intake.skipped,
            published=hints.available,
            workers_listening=hints.are_heard(),
        )


def take_in(
    database: Database, kind: BatchKind, request: Request, hints: Hints, on_progress: OnIntake
) -> Intake:
    """Take all files of the request into its batch, some thousands to a transaction."""
    intake = Intake(open_batch(database, kind, request.key, request.label))
    on_progress(intake)
    for part in _parts(request.discover()):
        intake += take_part(
            database, intake.batch, part, request.roots, hints.send, published=hints.available
        )
        on_progress(intake)
    finish_intake(database, intake.batch)
    return intake


def take_part(
    database: Database,
    batch: str,
    part: Sequence[NewScan | NewSkip],
    roots: Roots,
    send: Callable[[Sequence[int]], None],
    *,
    published: bool,
) -> Intake:
    """Insert rows and commit them, then send the ids of those that are new.

    Never the other way round: a message must not come before its scans. ``send`` may fail in
    silence, since a worker finds in the ledger what it was not told. ``published`` is stored with
    the rows: whether ``send`` is about to send them. Reports of exams, read inside ``roots``, are
    no scans: what they say of heads is kept to compare with.
    """
    scans = [entry for entry in part if isinstance(entry, NewScan)]
    skips, references = read_reports([entry for entry in part if isinstance(entry, NewSkip)], roots)
    insert_skipped(database, batch, skips)
    insert_references(database, batch, references)
    new = insert_scans(database, batch, scans, published=published)
    failpoint.hit("after-insert")
    send(new)
    failpoint.hit("after-publish")
    return Intake(batch, len(scans), len(new), len(skips))


def _parts(found: Iterable[NewScan | NewSkip]) -> Iterator[list[NewScan | NewSkip]]:
    part: list[NewScan | NewSkip] = []
    begun_s = time.monotonic()
    for entry in found:
        part.append(entry)
        if len(part) >= _PART_ROWS or time.monotonic() - begun_s >= _PART_S:
            yield part
            part = []
            begun_s = time.monotonic()
    if part:
        yield part
