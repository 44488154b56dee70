"""The table of transitions and its drawing are the same."""

import re
from pathlib import Path

from worker.result import Status
from worker.settings import FAILPOINTS
from worker.store.states import TRANSITIONS, Event

LEDGER = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text()


def test_the_diagram_has_exactly_the_tables_edges() -> None:
    drawn = re.findall(r"^ +([\w-]+) --> ([\w-]+): ([\w-]+)$", LEDGER, re.MULTILINE)
    assert sorted(drawn) == sorted((before, after, event) for before, event, after in TRANSITIONS)


def test_every_state_can_be_reached_and_every_event_moves_something() -> None:
    assert {after for _, _, after in TRANSITIONS} == set(Status)
    assert {event for _, event, _ in TRANSITIONS} == set(Event)


def test_every_failpoint_is_described() -> None:
    assert tuple(re.findall(r"^\| `([a-z-]+)` \|", LEDGER, re.MULTILINE)) == FAILPOINTS
