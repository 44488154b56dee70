"""Moments as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d{1,5})([mhdw])")


class Moment(click.ParamType[datetime]):
    """``2026-01-31``, ``2026-01-31 08:15+01:00``, ``today``, ``yesterday``, or how long ago."""

    name = "TIME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the moment; a date or time without a zone is in UTC. Raises ``BadParameter``."""
        if isinstance(value, datetime):
            return value
        word = str(value).strip()
        now = datetime.now(UTC)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if word in ("today", "yesterday"):
            return midnight if word == "today" else midnight - timedelta(days=1)
        try:
            if ago := _AGO.fullmatch(word):
                return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            moment = datetime.fromisoformat(word)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(
                f"{value!r} is no time: 2026-01-31, '2026-01-31 08:15', 2026-01-31T08:15+01:00,"
                " today, yesterday, or how long ago: 90m, 12h, 2d, 1w",
                param,
                ctx,
            )
