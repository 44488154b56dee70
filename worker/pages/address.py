"""The filters of a page as they stand in its address, and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from worker.errors import FilterInvalid
from worker.result import Status
from worker.store.batches import find_batch
from worker.store.filter import Filter
from worker.store.listing import Place
from worker.store.session import Database

Value = TypeVar("Value")

_NAMES = ("batch", "status", "source", "since", "until", "unseen", "after")
_LONGEST = 500
"""Characters of a value: longer than any path that one would type."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page is asked to show. ``words``: the filters as they were typed, by name."""

    which: Filter
    words: tuple[tuple[str, str], ...]
    after: Place | None
    unseen: bool

    def query(self, **more: str) -> str:
        """Return these filters as the query of an address, with ``more`` added."""
        return urlencode([*self.words, *more.items()])

    @property
    def typed(self) -> dict[str, str]:
        """The filters by name, for a form's fields; the last of several counts."""
        return dict(self.words)


def asked(query: QueryParams, database: Database) -> Asked:
    """Return what an address asks for.

    Raises ``FilterInvalid``, with the name of what cannot be read, and ``BatchUnknown``.
    """
    words = [(name, value.strip()) for name, value in query.multi_items() if value.strip()]
    for name, value in words:
        if name not in _NAMES:
            raise FilterInvalid(f"there is no filter {name[:40]}; there are {', '.join(_NAMES)}")
        if len(value) > _LONGEST:
            raise FilterInvalid(f"{name} is too long")
        if "\0" in value:  # no text of a database holds one
            raise FilterInvalid(f"{name} holds a NUL")
    given = dict(words)
    statuses = [_read(Status, "status", value) for name, value in words if name == "status"]
    batch = given.get("batch")
    which = Filter(
        batch=None if batch is None else find_batch(database, batch),
        statuses=statuses or None,
        since=_moment("since", given.get("since")),
        until=_moment("until", given.get("until")),
        source=given.get("source"),
    )
    after = given.get("after")
    return Asked(
        which,
        tuple((name, value) for name, value in words if name != "after"),
        None if after is None else _place(after),
        "unseen" in given,
    )


def place_word(place: Place) -> str:
    """Return a place as it stands in an address."""
    return f"{place.status.value}-{place.scan_id}"


def _place(word: str) -> Place:
    status, _, scan_id = word.partition("-")
    return Place(_read(Status, "after", status), _read(_number, "after", scan_id))


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise ValueError(text)
    return int(text)


def scan_number(text: str) -> int:
    """Return a scan's number in an address. Raises ``FilterInvalid``."""
    return _read(_number, "scan", text)


def _moment(name: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    return _read(_in_utc, name, text)


def _in_utc(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)


def _read(parse: Callable[[str], Value], name: str, text: str) -> Value:
    try:
        return parse(text)
    except (ValueError, OverflowError):
        raise FilterInvalid(f"{name}={text[:40]} cannot be read") from None
