"""Addresses of the database and the broker: checked, and shown without their passwords."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv6Address
from urllib.parse import parse_qsl

_DATABASE_DRIVERS = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_LARGEST_PORT = 65_535
_PLAIN = re.compile(r"[^/?#]*")
_BROKER_SCHEMES = ("redis", "rediss", "redis+socket")
_TLS_OPTIONS = ("ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_keyfile")
_CERTIFICATE_CHECKS = ("none", "optional", "required")


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
        _check_options(rest, ())
        return text
    secret, place = _check_server(rest)
    if not _PLAIN.fullmatch(secret):
        raise Unfit("%2F, %3F and %23 for each /, ? and # in a password")
    if place[:1] in ("", "/", "?"):
        raise Unfit("a host, redis://HOST:PORT/0")
    database = place.partition("/")[2].partition("?")[0]
    if database and not database.isdecimal():
        raise Unfit("the number of a database at its end: redis://HOST:PORT/0")
    _check_options(place, _TLS_OPTIONS if scheme == "rediss" else ())
    return text


def _check_options(place: str, allowed: Sequence[str]) -> None:
    """Refuse what follows a ``?`` and is none of the options that client and worker both take."""
    for name, value in parse_qsl(place.partition("?")[2], keep_blank_values=True):
        if name not in allowed:
            listed = ", ".join(allowed) or "nothing"
            raise Unfit(f"{listed} after its ?, but not {name}")
        if name == "ssl_cert_reqs" and value not in _CERTIFICATE_CHECKS:
            raise Unfit(f"ssl_cert_reqs to be one of {', '.join(_CERTIFICATE_CHECKS)}")


def _check_sqlite(rest: str) -> None:
    if rest and not rest.startswith("/"):
        raise Unfit("three slashes before its path, sqlite:///PATH")
    if not rest.strip("/") or rest == "/:memory:":
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
    for name in host.split(",") if host else ():  # PostgreSQL takes several
        if not name.startswith("%2F"):  # the folder of a socket
            _check_host(re.sub(r":\d*$", "", name))
    return secret, place


def _check_host(name: str) -> None:
    """Raise ``Unfit`` for what no resolver takes."""
    try:
        if name.startswith("["):
            IPv6Address(name.removeprefix("[").removesuffix("]"))
        else:
            name.encode("idna")
        is_fit = re.fullmatch(r"\[[^][]*\]|[^][\s]*[^][\s.]\.?", name) is not None
    except ValueError:
        is_fit = False
    if not is_fit:
        raise Unfit("the name or number of a host after the password's @")
