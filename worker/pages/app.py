"""The addresses, who may ask for them, and what becomes of errors."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from worker.errors import (
    BatchUnknown,
    HcBatchError,
    OperatorError,
    ReviewInvalid,
    ScanFailed,
    ScanRejected,
    ServiceUnavailable,
)
from worker.pages import api, listing, one_scan
from worker.pages.access import COOKIE
from worker.pages.shield import Shield, TooMuch
from worker.pages.site import Site

logger = logging.getLogger(__name__)

Answer = Callable[[Site, Request], Response]
_STATIC = Path(__file__).parent / "static"
_LEDGER, _IMAGES = ThreadPoolExecutor(4, "ledger"), ThreadPoolExecutor(2, "images")
"""Threads: more would only wait for each other, and an image must not keep a page waiting."""


def make_app(site: Site, hosts: Collection[str] = ()) -> ASGIApp:
    """Return the application; ``hosts``: the names under which it is reached, empty for any."""
    routes = [
        Route("/health", lambda _: PlainTextResponse("ok")),
        Route("/login", _login(site), methods=["GET", "POST"]),
        Route("/logout", _logout, methods=["POST"]),
        Route("/", _guarded(site, listing.batches_page)),
        Route("/results", _guarded(site, listing.results_page)),
        Route("/scans/{scan_id}", _guarded(site, one_scan.scan_page)),
        Route("/scans/{scan_id}/image", _guarded(site, one_scan.scan_image)),
        Route("/api", _guarded(site, _api_page)),
        Route("/api/openapi.json", _guarded(site, _openapi)),
        Route("/api/batches", _guarded(site, api.batches_data)),
        Route("/api/results", _guarded(site, api.results_data)),
        Route("/api/scans/{scan_id}", _guarded(site, api.scan_data)),
        Mount("/static", StaticFiles(directory=_STATIC)),
    ]
    if site.may_review:
        routes += [
            Route("/scans/{scan_id}/reviews", _form(site), methods=["POST"]),
            Route("/api/scans/{scan_id}/reviews", _json(site), methods=["POST"]),
        ]

    async def failed(request: Request, error: Exception) -> Response:
        return _problem(site, request, error)

    handlers = dict.fromkeys((HTTPException, HcBatchError, TooMuch), failed)
    return Shield(Starlette(routes=routes, exception_handlers=handlers), hosts)


def _guarded(site: Site, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    """Return the same for those who may come in; it waits for the ledger in a thread."""

    async def guarded(request: Request) -> Response:
        refusal = _refusal(site, request)
        if refusal is not None:
            return refusal
        if answer is one_scan.scan_image:
            return await _in_thread(_IMAGES, answer, site, request)
        return await _in_thread(_LEDGER, in_one_view, request)

    def in_one_view(request: Request) -> Response:
        with site.database.one_view():
            return answer(site, request)

    return guarded


async def _in_thread(
    threads: ThreadPoolExecutor, answer: Callable[..., Response], *given: object
) -> Response:
    return await asyncio.get_running_loop().run_in_executor(threads, answer, *given)


def _form(site: Site) -> Callable[[Request], Awaitable[Response]]:
    async def stored(request: Request) -> Response:
        refusal = _refusal(site, request)
        if refusal is not None:
            return refusal
        form = await request.form(max_files=0, max_fields=20)
        return await _in_thread(_LEDGER, one_scan.store_review, site, request, form)

    return stored


def _json(site: Site) -> Callable[[Request], Awaitable[Response]]:
    async def stored(request: Request) -> Response:
        refusal = _refusal(site, request)
        if refusal is not None:
            return refusal
        try:
            given = json.loads(await request.body())
        except (ValueError, RecursionError):
            raise ReviewInvalid("it is no JSON") from None
        return await _in_thread(_LEDGER, api.review_data, site, request, given)

    return stored


def _refusal(site: Site, request: Request) -> Response | None:
    """Note who asks, or return the way in for somebody who is not known."""
    visitor = site.access.visitor_of(request)
    request.scope["hc_visitor"] = visitor
    if visitor is not None:
        return None
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": "send the header Authorization: Bearer TOKEN"}, 401)
    if site.access.tokens and request.method == "GET" and not request.url.path.endswith("/image"):
        return RedirectResponse("/login", 303)
    raise HTTPException(401, "who asks is not known here")


def _login(site: Site) -> Callable[[Request], Awaitable[Response]]:
    async def login(request: Request) -> Response:
        if not site.access.tokens:
            return RedirectResponse("/", 303)
        if request.method == "GET":
            return site.page(request, "login.html", wrong=False)
        form = await request.form(max_files=0, max_fields=5)
        name = site.access.owner_of(str(form.get("token", "")).strip())
        if name is None:
            logger.warning("somebody came with a token that is nobody's")
            return site.page(request, "login.html", 401, wrong=True)
        response = RedirectResponse("/", 303)
        site.access.begin(response, site.access.newcomer(name), secure=_is_secure(request))
        return response

    return login


async def _logout(request: Request) -> Response:
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE)
    return response


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"


def _api_page(site: Site, request: Request) -> Response:
    return site.page(request, "api.html", document=api.description(may_review=site.may_review))


def _openapi(site: Site, request: Request) -> Response:
    return JSONResponse(api.description(may_review=site.may_review))


def _problem(site: Site, request: Request, error: Exception) -> Response:
    """Return what went wrong in words, as a page or as data."""
    status_code, text, code = _told(error)
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": text, "code": code}, status_code)
    if request.url.path.endswith("/image"):
        return PlainTextResponse(text, status_code)
    return site.page(request, "problem.html", status_code, text=text, code=code)


def _told(error: Exception) -> tuple[int, str, str]:
    if isinstance(error, HTTPException):
        return error.status_code, error.detail, ""
    if isinstance(error, TooMuch):
        return 413, "more was sent than a form of ours holds, or too slowly", ""
    assert isinstance(error, HcBatchError)
    if isinstance(error, BatchUnknown):
        return 404, str(error), error.code
    if isinstance(error, OperatorError):
        return 400, str(error), error.code
    if isinstance(error, ScanRejected | ScanFailed):
        return 409, str(error), error.code
    assert isinstance(error, ServiceUnavailable)
    return 503, str(error), error.code
