"""Who may come in, by which name, and whether a form was really sent by our page.

Three ways in: this machine's own user on a loopback address; a person's token; or a name that a
reverse proxy vouches for. Nothing is kept on the server: a session is a signed cookie.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import secrets
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from worker.errors import TokensUnusable

COOKIE = "hc_session"
_SESSION_S = 12 * 3600
"""A day's work, then the token once more."""
_LEAST_TOKEN = 24
"""Characters of a token: too many to try all, even of hexadecimal digits."""
_LONGEST_NAME = 64

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person who is let in; ``session`` is unlike any other, ``by_token`` came without a cookie.

    ``is_new``: the session begins with this request, so the answer carries its cookie.
    """

    name: str
    session: str
    by_token: bool = False
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Proxy:
    """A reverse proxy that tells in ``header`` who asks, from one of ``networks``."""

    header: str
    networks: tuple[Network, ...]

    def user_of(self, request: Request) -> str | None:
        """Return the name that the proxy gives, or ``None`` where another than it asks."""
        try:
            peer = ipaddress.ip_address(request.client.host if request.client else "")
        except ValueError:
            return None
        if not any(peer in network for network in self.networks):
            return None
        return _name(request.headers.get(self.header, ""))


@dataclass(frozen=True, slots=True)
class Access:
    """The ways in. ``local_name``: who everybody on this machine is, where there is no other way.

    ``tokens``: SHA-256 of each token by name. ``key`` signs sessions and forms.
    """

    local_name: str | None = None
    tokens: Mapping[str, bytes] = field(default_factory=dict)
    proxy: Proxy | None = None
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def visitor_of(self, request: Request) -> Visitor | None:
        """Return who asks, or ``None`` where nobody that may come in does."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            name = self.owner_of(token.strip())
            return None if name is None else Visitor(name, session="", by_token=True)
        session = self._session_of(request.cookies.get(COOKIE, ""))
        present = self.local_name if self.proxy is None else self.proxy.user_of(request)
        if self.proxy is None and self.tokens:
            present = None if session is None else session[0]
        if present is None:
            return None
        if session is not None and session[0] == present:
            return Visitor(present, session[1])
        return self.newcomer(present)

    def newcomer(self, name: str) -> Visitor:
        """Return somebody whose session begins now."""
        return Visitor(name, secrets.token_urlsafe(16), is_new=True)

    def owner_of(self, token: str) -> str | None:
        """Return whose token this is; takes as long for any other."""
        digest = hashlib.sha256(token.encode()).digest()
        owner = None
        for name, known in self.tokens.items():
            if hmac.compare_digest(digest, known):
                owner = name
        return owner

    def begin(self, response: Response, visitor: Visitor, *, secure: bool) -> None:
        """Let the answer carry a session's cookie."""
        said = f"{visitor.name}\n{visitor.session}\n{int(time.time()) + _SESSION_S}"
        packed = base64.urlsafe_b64encode(said.encode()).decode()
        response.set_cookie(
            COOKIE,
            f"{packed}.{self._signature('session', packed)}",
            max_age=_SESSION_S,
            httponly=True,
            samesite="strict",
            secure=secure,
        )

    def form_key(self, visitor: Visitor) -> str:
        """Return what each form of a session carries, and no other page can know."""
        return self._signature("form", visitor.session)

    def sent_by_our_page(self, request: Request, visitor: Visitor, form_key: str) -> bool:
        """Return whether a form comes from a page of this session, and not from another site."""
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
            return False
        # Bytes: a stranger's form may hold anything.
        return hmac.compare_digest(form_key.encode(), self.form_key(visitor).encode())

    def _session_of(self, cookie: str) -> tuple[str, str] | None:
        packed, _, signature = cookie.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature("session", packed).encode()):
            return None
        try:
            name, session, until = base64.urlsafe_b64decode(packed).decode().split("\n")
        except (binascii.Error, ValueError):  # pragma: no cover - whatever we signed can be read
            return None
        return (name, session) if time.time() < int(until) else None

    def _signature(self, purpose: str, text: str) -> str:
        return hmac.new(self.key, f"{purpose}\n{text}".encode(), hashlib.sha256).hexdigest()


def read_tokens(path: Path) -> dict[str, bytes]:
    """Read a file of lines ``NAME:TOKEN``; return SHA-256 of each token by name.

    Raises ``TokensUnusable`` where others than its owner may read it, or a line is none.
    """
    try:
        with path.open(encoding="utf-8") as file:
            if stat.S_IMODE(path.stat().st_mode) & 0o077:
                raise TokensUnusable(f"{path} may be read by others; chmod 600")
            lines = [line.strip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise TokensUnusable(f"{path}: {getattr(error, 'strerror', 'it is not UTF-8')}") from error
    tokens: dict[str, bytes] = {}
    for number, line in enumerate(lines, start=1):
        if not line or line.startswith("#"):
            continue
        name, _, token = (part.strip() for part in line.partition(":"))
        if _name(name) is None or name in tokens or len(token) < _LEAST_TOKEN:
            raise TokensUnusable(
                f"{path}, line {number}: NAME:TOKEN, each name once, a token of at least "
                f"{_LEAST_TOKEN} characters"
            )
        tokens[name] = hashlib.sha256(token.encode()).digest()
    if not tokens:
        raise TokensUnusable(f"{path} holds none")
    return tokens


def parse_networks(words: Sequence[str]) -> tuple[Network, ...]:
    """Return addresses and networks such as ``10.0.0.0/8``. Raises ``ValueError``."""
    return tuple(ipaddress.ip_network(word) for word in words)


def _name(text: str) -> str | None:
    """Return the name of a person as it may be stored, or ``None``."""
    text = text.strip()
    return text if 0 < len(text) <= _LONGEST_NAME and text.isprintable() else None
