"""What pages and their data share: ledger, readers, who may come in, and templates."""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from worker.pages.access import Access, Visitor
from worker.plain_text import visible
from worker.reading.sandbox.pool import ReaderPool
from worker.result import NOTICE
from worker.roots import Roots
from worker.store.progress import BatchSummary, latest_batches
from worker.store.session import Database

_COUNTED_FOR_S = 3.0
"""Counting a million rows takes a while, and a page every few seconds is as good."""
_COUNTING_SHARE = 0.05
"""Of the time, so that a ledger of many millions is counted less often."""
_BATCHES = 50


@dataclass(slots=True)
class Site:
    """One set of pages over one ledger; ``may_review``: whether opinions can be stored."""

    database: Database
    roots: Roots
    readers: ReaderPool
    access: Access
    may_review: bool
    _batches: list[BatchSummary] = field(default_factory=list)
    _count_at: float = float("-inf")
    _counting: threading.Lock = field(default_factory=threading.Lock)
    _templates: Environment = field(default_factory=lambda: _environment())

    def batches(self) -> list[BatchSummary]:
        """Return the newest batches with their counts, counted every few seconds at most."""
        if time.monotonic() < self._count_at:
            return self._batches
        # One counts, and those who ask meanwhile get what was counted before.
        if self._counting.acquire(blocking=self._count_at == float("-inf")):
            try:
                begun_s = time.monotonic()
                if begun_s < self._count_at:  # somebody else counted while this one waited
                    return self._batches
                self._batches = latest_batches(self.database, _BATCHES)
                counted_s = time.monotonic()
                rest_s = max(_COUNTED_FOR_S, (counted_s - begun_s) / _COUNTING_SHARE)
                self._count_at = counted_s + rest_s
            finally:
                self._counting.release()
        return self._batches

    def page(
        self, request: Request, template: str, status_code: int = 200, **values: Any
    ) -> Response:
        """Return a page; whoever came with a new session takes its cookie along."""
        visitor: Visitor | None = request.scope.get("hc_visitor")
        common: Mapping[str, Any] = {
            "notice": NOTICE,
            "visitor": visitor,
            "may_review": self.may_review,
            "form_key": "" if visitor is None else self.access.form_key(visitor),
            "request_key": secrets.token_urlsafe(12),
            "path": request.url.path,
        }
        text = self._templates.get_template(template).render({**common, **values})
        response = HTMLResponse(text, status_code)
        if visitor is not None and visitor.is_new:
            self.access.begin(response, visitor, secure=request.url.scheme == "https")
        return response


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("worker.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
        auto_reload=False,  # a look at the file for each page
    )
    environment.filters["degrees"] = math.degrees
    return environment


def _printable(value: object) -> object:
    """Let no text of a file or tag turn or clear the page; what a template made stays."""
    return visible(value) if type(value) is str and not value.isprintable() else value
