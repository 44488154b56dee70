"""The page of one scan: image, ellipse, interval, provenance, history, study, and opinions."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from hcmodel.flags import meaning_of
from worker.columns import Column, columns_of, flattened
from worker.errors import HcBatchError, codes_of
from worker.pages.address import Asked, asked, scan_number
from worker.pages.opinions import request_key_of, review_of
from worker.pages.pictures import png_of
from worker.pages.site import Site
from worker.reports.exam_facts import sources_of
from worker.reports.studies import MEANINGS, NoStudyHc, Sight, grouped, sights_of_study
from worker.reports.study_rows import StudyRow, study_rows
from worker.result import Status
from worker.store.listing import ListedRow, Place, history_of, page_of, row_of
from worker.store.reviews import REASONS, add_review, reviews_of
from worker.store.rows import ReportRow
from worker.store.session import Database

logger = logging.getLogger(__name__)

_OF_STUDY = 24
_KINDS = codes_of(HcBatchError)
_SHOWN_ABOVE = (
    "status",
    "hc_mm",
    "hc_low_mm",
    "hc_high_mm",
    "bpd_mm",
    "ofd_mm",
    "flags",
    "message",
)


def scan_page(site: Site, request: Request) -> Response:
    """Return the page of one scan. Raises ``FilterInvalid``, ``BatchUnknown`` and 404."""
    row = row_asked_for(site, request)
    wanted = asked(request.query_params, site.database)
    visitor = request.scope["hc_visitor"]
    study = row.file.study_instance_uid
    sights = [] if study is None else sights_of_study(site.database, study)
    return site.page(
        request,
        "scan.html",
        row=row,
        wanted=wanted,
        next=_next(site, row, wanted, visitor.name),
        facts=_facts(row),
        flags=[(flag, meaning_of(flag)) for flag in row.ellipse.flags],
        remedy=_remedy(row.code),
        history=history_of(site.database, row.scan_id),
        siblings=[each for each in sights[:_OF_STUDY] if each.scan_id != row.scan_id],
        heads=[] if study is None else heads_of(site.database, study, sights),
        why_none={reason.value: MEANINGS[reason] for reason in NoStudyHc},
        reviews=reviews_of(site.database, [row.scan_id]).get(row.scan_id, []),
        reasons=REASONS,
    )


def heads_of(
    database: Database, study_instance_uid: str, sights: Sequence[Sight]
) -> list[StudyRow]:
    """Return what all images of a study say together: a row per fetus and instrument."""
    return list(study_rows(grouped(sights), sources_of(database, [study_instance_uid])))


def scan_image(site: Site, request: Request) -> Response:
    """Return the scan's frame as PNG. Raises 404, and what ``png_of`` raises."""
    row = row_asked_for(site, request)
    return Response(png_of(row, site.roots, site.readers), media_type="image/png")


def store_review(site: Site, request: Request, form: FormData) -> Response:
    """Store what a form says, and lead on to the next scan. Raises ``ReviewInvalid`` and 403."""
    visitor = request.scope["hc_visitor"]
    given = {name: value for name, value in form.items() if isinstance(value, str)}
    if not site.access.sent_by_our_page(request, visitor, given.get("form_key", "")):
        raise HTTPException(403, "this was not sent by a page of this session; load it again")
    row = row_asked_for(site, request)
    keep(site, row, visitor.name, given)
    wanted = asked(request.query_params, site.database)
    following = _next(site, row, wanted, visitor.name)
    query = wanted.query()
    if following is None:
        return RedirectResponse(f"/results?{query}", 303)
    return RedirectResponse(f"/scans/{following}?{query}", 303)


def keep(site: Site, row: ReportRow, reviewer: str, given: dict[str, str]) -> bool:
    """Store an opinion with a line in the log; return whether it is new. Raises as above."""
    review = review_of(row, reviewer, given)
    is_new = add_review(site.database, review, request_key_of(given))
    if is_new:
        logger.info("scan %d: %s by %s", row.scan_id, review.verdict, reviewer)
    return is_new


def row_asked_for(site: Site, request: Request) -> ReportRow:
    """Return the row whose number stands in the address. Raises ``FilterInvalid`` and 404."""
    row = row_of(site.database, scan_number(request.path_params["scan_id"]))
    if row is None:
        raise HTTPException(404, "there is no scan of this number")
    return row


def _next(site: Site, row: ReportRow, wanted: Asked, reviewer: str) -> int | None:
    """Return the scan after this one, of those that the address asks for."""
    unseen_by = reviewer if wanted.unseen else None
    place: Place | None = Place(Status(row.status), row.scan_id)
    while place is not None:
        page = page_of(ListedRow, site.database, wanted.which, place, limit=1, unseen_by=unseen_by)
        if page.rows:
            return page.rows[0].scan_id
        place = page.next
    return None


def _facts(row: ReportRow) -> list[tuple[Column, object]]:
    """Return what else the row says, known values only, in its own order."""
    values = flattened(row)
    return [
        (column, values[column.name])
        for column in columns_of(ReportRow)
        if column.name not in _SHOWN_ABOVE and values[column.name] not in (None, ())
    ]


def _remedy(code: str | None) -> str:
    return _KINDS[code]().remedy if code in _KINDS else ""
