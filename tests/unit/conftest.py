"""What tests of the ledger's rooms share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.clocked import ClockedLedger, clocked_ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[ClockedLedger]:
    """An empty ledger whose clock stands still."""
    with clocked_ledger(tmp_path / "ledger.sqlite3") as ledger:
        yield ledger
