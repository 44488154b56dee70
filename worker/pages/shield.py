"""What stands before every page: whose host it is, how much may be sent, and what a page may do."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LONGEST_ADDRESS = 8 * 1024
LARGEST_BODY = 64 * 1024
"""Bytes: a review is a few hundred."""
_BODY_S = 10.0
"""Seconds for a request's body: a slow client holds no place for longer."""

_HEADERS = {
    "content-security-policy": "default-src 'none'; img-src 'self'; style-src 'self'; "
    "script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
_NOT_KEPT = "no-store"
"""Images and rows of patients stay out of the browser's cache."""


class Shield:
    """Refuses what is addressed to another host or is too large, and hardens each answer.

    ``hosts``: the names under which these pages are reached; empty for any. Another site's name
    that leads here (DNS rebinding) would else be let in as this machine's own user.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request by itself, or let the application do so."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, _hardened(send))
            return
        await self._app(scope, _bounded(receive), _hardened(send))

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = dict(scope["headers"])
        if self._hosts and _host(headers.get(b"host", b"")) not in self._hosts:
            return PlainTextResponse("not the name of these pages; see --allowed-host", 421)
        if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_ADDRESS:
            return PlainTextResponse("the address is too long", 414)
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 12 or int(length) > LARGEST_BODY:
            return PlainTextResponse("too much was sent", 413)
        return None


class TooMuch(Exception):
    """More was sent than a form of ours holds, or too slowly."""


def _bounded(receive: Receive) -> Receive:
    """Return the same, which ends with ``TooMuch`` beyond the largest body or the time for it."""
    taken = 0
    deadline_s = asyncio.get_running_loop().time() + _BODY_S
    is_whole = False

    async def bounded() -> Message:
        nonlocal taken, is_whole
        if is_whole:  # what comes now is the end of the connection
            return await receive()
        try:
            async with asyncio.timeout_at(deadline_s):
                message = await receive()
        except TimeoutError:
            raise TooMuch from None
        taken += len(message.get("body", b""))
        is_whole = not message.get("more_body", False)
        if taken > LARGEST_BODY:
            raise TooMuch
        return message

    return bounded


def _hardened(send: Send) -> Send:
    async def hardened(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("cache-control", _NOT_KEPT)
        await send(message)

    return hardened


def _host(header: bytes) -> str:
    """Return the name in a Host header, without the port, as it is compared."""
    text = header.decode("latin-1").lower()
    if text.startswith("["):
        return text.partition("]")[0] + "]"
    return text.partition(":")[0]
