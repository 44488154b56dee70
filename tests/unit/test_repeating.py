"""Work beside other work: what goes wrong is told once and tried again, no thread dies unseen."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading

import pytest

from worker.errors import DatabaseReadOnly
from worker.retry import repeating

DIES = """
import sys, time
from worker.retry import repeating
def act():
    sys.exit()
with repeating("reconciler", act, 0.01, at_once=True):
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DatabaseReadOnly("standby"), "The database takes no changes at present: standby"),
        (ZeroDivisionError("a patient's name"), "the heartbeat: ZeroDivisionError at "),
    ],
)
def test_an_error_is_told_once_and_tried_again(
    caplog: pytest.LogCaptureFixture, error: Exception, told: str
) -> None:
    caplog.set_level(logging.INFO)
    failures = [error] * 5
    succeeded = threading.Event()

    def act() -> None:
        if failures:
            raise failures.pop()
        succeeded.set()

    with repeating("heartbeat", act, 0.01, at_once=True):
        assert succeeded.wait(60)
    assert caplog.text.count(told) == 1
    assert caplog.text.count("the heartbeat goes on") == 1
    assert "patient" not in caplog.text


def test_a_thread_that_cannot_live_ends_its_process() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DIES], capture_output=True, check=False, timeout=90
    )
    assert done.returncode != 0
    assert b"the reconciler has ended unasked" in done.stderr
