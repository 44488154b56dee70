"""Another try is for services out of reach alone, and not for ever where a time is given."""

import pytest

from worker.errors import BrokerUnreachable, DatabaseUnreachable, SchemaOutdated
from worker.retry import until_available


def test_it_goes_on_when_the_service_is_there(caplog: pytest.LogCaptureFixture) -> None:
    failures = [DatabaseUnreachable("gone"), BrokerUnreachable("gone")]

    def act() -> str:
        if failures:
            raise failures.pop()
        return "done"

    assert until_available(act) == "done"
    assert "Next try in 0.2 s." in caplog.text
    assert "Next try in 0.4 s." in caplog.text


def test_it_gives_up_after_the_time() -> None:
    def act() -> None:
        raise DatabaseUnreachable("gone")

    with pytest.raises(DatabaseUnreachable):
        until_available(act, 0.5)


def test_a_persons_mistake_is_not_tried_again() -> None:
    tries: list[int] = []

    def act() -> None:
        tries.append(1)
        raise SchemaOutdated("old")

    with pytest.raises(SchemaOutdated):
        until_available(act)
    assert len(tries) == 1
