"""The pages that list: batches with their progress, and rows with filters in the address."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from worker.pages.address import asked, place_word
from worker.pages.site import Site
from worker.result import Status
from worker.store.listing import ORDER, ListedRow, page_of
from worker.store.reviews import reviews_of

ROWS = 50


def batches_page(site: Site, request: Request) -> Response:
    """Return the newest batches, each with how far it is."""
    return site.page(request, "batches.html", batches=site.batches(), order=ORDER)


def results_page(site: Site, request: Request) -> Response:
    """Return a page of rows. Raises ``FilterInvalid`` and ``BatchUnknown``."""
    wanted = asked(request.query_params, site.database)
    visitor = request.scope["hc_visitor"]
    unseen_by = visitor.name if wanted.unseen else None
    page = page_of(ListedRow, site.database, wanted.which, wanted.after, ROWS, unseen_by=unseen_by)
    return site.page(
        request,
        "results.html",
        wanted=wanted,
        rows=page.rows,
        is_partial=page.is_partial,
        reviews=reviews_of(site.database, [row.scan_id for row in page.rows]),
        next=None if page.next is None else wanted.query(after=place_word(page.next)),
        first=None if wanted.after is None else wanted.query(),
        statuses=list(Status),
        chosen=set(wanted.which.statuses or ()),
    )
