"""One scan's end, for tests that look at one."""

from __future__ import annotations

from worker.result import Result, Status
from worker.store import claims
from worker.store.session import Database


def finish(database: Database, claimed: claims.Claim, result: Result) -> Status | None:
    """Store the result and end the scan; return the state reached."""
    (status,) = claims.finish(database, [(claimed, result)])
    return status
