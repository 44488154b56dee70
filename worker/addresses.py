"""Addresses of the database and the broker: checked, and shown without their passwords."""

from __future__ import annotations

import re

_DATABASE_DRIVERS = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_LARGEST_PORT = 65_535
_PLAIN = re.compile(r"[^/?#]*")
_BROKER_SCHEMES = ("redis", "rediss", "redis+socket")


class Unfit(Exception):
    """What was expected of a value."""


def redacted(url: str) -> str:
    """Return the address without its password, fit for messages and logs."""
    url = re.sub(r"(://[^:@/]*):.*@", r"\1:***@", url)
    url = re.sub(r"(://:)[^@]*$", r"\1***", url)  # a password before a host that was forgotten
    return re.sub(r"(?i)(password=)[^&]*", r"\1***", url)


def database_url(text: str) -> str:
    """Return the address with the driver that is shipped; raises ``Unfit``."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in _DATABASE_DRIVERS:
        raise Unfit("sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME")
    if scheme == "sqlite":
        _check_sqlite(rest)
    else:
        _check_server(rest)
    return f"{_DATABASE_DRIVERS[scheme]}://{rest}"


def broker_url(text: str) -> str:
    """Return the address as it is; raises ``Unfit`` where it cannot be one."""
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in _BROKER_SCHEMES:
        raise Unfit("redis://:PASSWORD@HOST:PORT/0, rediss://... or redis+socket:///PATH")
    if scheme == "redis+socket":
        if not rest.partition("?")[0].strip("/"):
            raise Unfit("a socket, redis+socket:///PATH")
        return text
    secret, place = _check_server(rest)
    if not _PLAIN.fullmatch(secret):
        raise Unfit("%2F, %3F and %23 for each /, ? and # in a password")
    if place[:1] in ("", "/", "?"):
        raise Unfit("a host, redis://HOST:PORT/0")
    database = place.partition("/")[2].partition("?")[0]
    if database and not database.isdecimal():
        raise Unfit("the number of a database at its end: redis://HOST:PORT/0")
    return text


def _check_sqlite(rest: str) -> None:
    if not rest.strip("/"):
        raise Unfit("a file, sqlite:///PATH: workers cannot share a database in memory")
    if "?" in rest:
        raise Unfit("a path without ?, which would end it")


def _check_server(rest: str) -> tuple[str, str]:
    """Return user with password, and what follows them; raises ``Unfit``."""
    secret, _, place = rest.rpartition("@")
    if "@" in secret:
        raise Unfit("%40 for each @ in a password")
    host = re.split(r"[/?]", place, maxsplit=1)[0]
    port = re.fullmatch(r"(?:\[[^\]]*\]|[^:]*)(?::(\d*))?", host)
    if port is None or int(port[1] or 0) > _LARGEST_PORT:
        raise Unfit(f"digits up to {_LARGEST_PORT} as its port, HOST:PORT")
    return secret, place
