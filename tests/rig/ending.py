"""One scan's end, for tests that look at one."""

from __future__ import annotations

from hcmodel.spacing import Spacing
from worker.result import Result, Status
from worker.store import claims
from worker.store.session import Database


def finish(database: Database, claimed: claims.Claim, result: Result) -> Status | None:
    """Store the result and end the scan; return the state reached."""
    (status,) = claims.finish(database, [(claimed, result)])
    return status


def first_measured(
    database: Database,
    sha256: str,
    frame: int,
    manual: Spacing | None,
    any_plane: bool,
    model: str,
) -> int | None:
    """Return the scan under which this model measured this content, or ``None``."""
    key = claims.content_key(sha256, frame, manual, any_plane)
    assert key is not None
    return claims.find_measured(database, [key, f"not {key}"], model).get(key)
