"""How a batch ended, for people: what was refused and skipped, summed, with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.console import stderr
from worker.errors import HcBatchError, codes_of

if TYPE_CHECKING:
    from worker.store.session import Database

NAMED = 20  # lines that fit a terminal


def name_skipped(database: Database, batch: str) -> None:
    """Name the first skipped files, as an archive may hold thousands, and sum all by reason."""
    from worker.store.progress import skipped_files, skips_by_code

    for file in skipped_files(database, batch, NAMED):
        stderr.print(f"skipped: {file.source} ({file.code}: {file.reason})")
    by_code = skips_by_code(database, batch)
    more = sum(count for count, _ in by_code.values()) - NAMED
    if more > 0:
        stderr.print(f"and {more} more: hc-batch status {batch} --skipped")
    for code, (count, reason) in by_code.items():
        stderr.print(f"{count} skipped, {code}" + (f": {reason}" if reason else ""))


def sum_refused(database: Database, batch: str) -> None:
    """Say for each code how many scans were refused with it, why, and what to do."""
    from worker.store.progress import refusals_by_code

    kinds = codes_of(HcBatchError)
    for code, count in refusals_by_code(database, batch).items():
        explained = f": {kinds[code]()}" if code in kinds else ""
        stderr.print(f"{count} refused, {code}{explained}")
