"""Addresses of the database and the broker: checked, and shown without their passwords."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_DATABASE_DRIVERS = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_BROKER_SCHEMES = ("redis", "rediss", "redis+socket")


class Unfit(Exception):
    """What was expected of a value."""


def redacted(url: str) -> str:
    """Return the address without its password, fit for messages and logs."""
    url = re.sub(r"(://[^:@/]*):.*@", r"\1:***@", url)
    return re.sub(r"(?i)(password=)[^&]*", r"\1***", url)


def database_url(text: str) -> str:
    """Return the address with the driver that is shipped; raises ``Unfit``."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in _DATABASE_DRIVERS:
        raise Unfit("sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME")
    if scheme == "sqlite" and not rest.strip("/"):
        raise Unfit("a file, sqlite:///PATH: workers cannot share a database in memory")
    return f"{_DATABASE_DRIVERS[scheme]}://{rest}"


def broker_url(text: str) -> str:
    """Return the address as it is; raises ``Unfit`` where it cannot be one."""
    try:
        parts = urlsplit(text)
        fit = parts.scheme in _BROKER_SCHEMES and bool(parts.hostname or parts.path)
        _ = parts.port
    except ValueError:
        fit = False
    if not fit:
        raise Unfit("redis://:PASSWORD@HOST:PORT/0, rediss://... or redis+socket:///PATH")
    return text
