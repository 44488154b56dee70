"""The states of a scan and every way from one to another, as one table; drawn in docs/ledger.md."""

from __future__ import annotations

from enum import StrEnum

from worker.result import Status


class Event(StrEnum):
    """What moves a scan; the history of attempts has these words."""

    CLAIMED = "claimed"
    FINISHED = "finished"
    GIVEN_BACK = "given-back"
    LOST = "lost"
    REQUEUED = "requeued"
    CANCELLED = "cancelled"


TRANSITIONS = (
    (Status.QUEUED, Event.CLAIMED, Status.RUNNING),
    (Status.RUNNING, Event.CLAIMED, Status.RUNNING),  # by another owner: the lease had run out
    (Status.RUNNING, Event.FINISHED, Status.MEASURED),
    (Status.RUNNING, Event.FINISHED, Status.FLAGGED),
    (Status.RUNNING, Event.FINISHED, Status.REJECTED),
    (Status.RUNNING, Event.FINISHED, Status.FAILED),
    (Status.RUNNING, Event.FINISHED, Status.DUPLICATE),
    (Status.RUNNING, Event.GIVEN_BACK, Status.QUEUED),
    (Status.RUNNING, Event.LOST, Status.QUEUED),
    (Status.RUNNING, Event.LOST, Status.FAILED),  # no attempt was left
    (Status.FAILED, Event.REQUEUED, Status.QUEUED),
    (Status.REJECTED, Event.REQUEUED, Status.QUEUED),
    (Status.QUEUED, Event.CANCELLED, Status.REJECTED),
    (Status.RUNNING, Event.CANCELLED, Status.REJECTED),
)


def sources(event: Event) -> tuple[Status, ...]:
    """Return the states in which this may happen to a scan."""
    return tuple(dict.fromkeys(before for before, by, _ in TRANSITIONS if by is event))
