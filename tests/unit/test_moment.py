"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click
import pytest

from cli.moment import Moment


def moment(word: str) -> datetime:
    return Moment().convert(word, None, None)


@pytest.mark.parametrize(
    ("word", "there"),
    [
        ("2026-01-31", "2026-01-31T00:00:00"),
        ("2026-01-31 08:15", "2026-01-31T08:15:00"),
        ("2026-01-31T08:15:30", "2026-01-31T08:15:30"),
        ("2026-01-31T08:15Z", "2026-01-31T08:15:00"),
        ("2026-01-31 08:15+02:00", "2026-01-31T06:15:00"),
        (" 2026-01-31 ", "2026-01-31T00:00:00"),
    ],
)
def test_a_date_is_in_utc_unless_it_has_a_zone(word: str, there: str) -> None:
    assert moment(word) == datetime.fromisoformat(there).replace(tzinfo=UTC)
    assert moment(word).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("word", "ago"),
    [
        ("90m", timedelta(minutes=90)),
        ("12h", timedelta(hours=12)),
        ("2d", timedelta(days=2)),
        ("1w", timedelta(weeks=1)),
    ],
)
def test_how_long_ago(word: str, ago: timedelta) -> None:
    assert abs(datetime.now(UTC) - moment(word) - ago) < timedelta(seconds=10)


def test_today_begins_at_midnight_in_utc() -> None:
    today = moment("today")
    assert timedelta(0) <= datetime.now(UTC) - today < timedelta(days=1, seconds=10)
    assert (today.hour, today.minute, today.second, today.microsecond) == (0, 0, 0, 0)
    assert moment("yesterday") == today - timedelta(days=1)


@pytest.mark.parametrize("word", ["", "soon", "2026-13-01", "2d3", "-2d", "999999w", "08:15", "2"])
def test_what_is_no_time_is_refused_with_what_would_be_one(word: str) -> None:
    with pytest.raises(click.BadParameter, match="2026-01-31T08:15"):
        moment(word)
