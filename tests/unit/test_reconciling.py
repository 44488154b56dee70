"""What is published again, once each, however slow database and broker are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from rig.clocked import ClockedLedger
from worker.queue import reconciler
from worker.queue.reconciler import publish_due
from worker.settings import Settings
from worker.store import recovery


def test_a_slow_broker_gets_each_scan_once(
    ledger: ClockedLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each message takes longer than that after which a scan that still waits is due again."""
    settings = replace(Settings.from_environment({}), reconcile_s=30.0)
    ids = ledger.put("one", 5)
    ledger.wait_s(31)
    young = ledger.put("two", 2)
    begun = ledger.present
    sent: list[int] = []

    class SlowBroker:
        def waiting(self) -> int:
            return 0

        def publish(self, scan_ids: Sequence[int]) -> None:
            sent.extend(scan_ids)
            ledger.wait_s(31)

    def monotonic() -> float:
        return (ledger.present - begun).total_seconds()

    monkeypatch.setattr(recovery, "_ROUND", 2)
    monkeypatch.setattr(reconciler.time, "monotonic", monotonic)
    broker: Any = SlowBroker()
    assert publish_due(ledger, broker, settings) == 5
    assert sent == ids
    ledger.wait_s(1)
    assert publish_due(ledger, broker, settings) == 7
    assert sorted(sent[5:]) == ids + young
