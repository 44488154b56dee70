"""The same as data: ``/api``, described by an OpenAPI document that the columns write."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from worker.columns import Column, columns_of
from worker.errors import ReviewInvalid
from worker.pages.address import asked, place_word
from worker.pages.one_scan import keep, row_asked_for
from worker.pages.opinions import ELLIPSE
from worker.pages.site import Site
from worker.reports.record import record_of, record_of_line
from worker.result import NOTICE, Status
from worker.store.listing import history_of, lines_of_page
from worker.store.reviews import REASONS, StoredReview, Verdict, reviews_of
from worker.store.rows import COLUMNS, ReportRow

_ROWS = 100


def batches_data(site: Site, request: Request) -> Response:
    """Return the newest batches with their counts."""
    return _answer(
        {
            "batches": [
                {
                    "batch": each.batch,
                    "kind": each.kind,
                    "label": each.label,
                    "created_at": each.created_at.isoformat(),
                    "intake_done": each.intake_done,
                    "counts": {status.value: each.counts.get(status, 0) for status in Status},
                }
                for each in site.batches()
            ]
        }
    )


def results_data(site: Site, request: Request) -> Response:
    """Return a page of rows. Raises ``FilterInvalid`` and ``BatchUnknown``."""
    wanted = asked(request.query_params, site.database)
    unseen_by = request.scope["hc_visitor"].name if wanted.unseen else None
    page = lines_of_page(
        COLUMNS, site.database, wanted.which, wanted.after, _ROWS, unseen_by=unseen_by
    )
    after = None if page.next is None else place_word(page.next)
    return _answer({"rows": [record_of_line(line) for line in page.rows], "after": after})


def scan_data(site: Site, request: Request) -> Response:
    """Return one scan with its history and reviews. Raises ``FilterInvalid`` and 404."""
    row = row_asked_for(site, request)
    said = reviews_of(site.database, [row.scan_id]).get(row.scan_id, [])
    return _answer(
        {
            "row": record_of(row),
            "history": [
                {
                    "attempt": each.number,
                    "event": each.event,
                    "code": each.code,
                    "at": _time(each.at),
                }
                for each in history_of(site.database, row.scan_id)
            ],
            "reviews": [_review(each) for each in said],
        }
    )


def review_data(site: Site, request: Request, given: object) -> Response:
    """Store a review that came with a token, and return whether it is new.

    Raises ``ReviewInvalid``, ``FilterInvalid``, 403 and 404.
    """
    visitor = request.scope["hc_visitor"]
    if not visitor.by_token:
        raise HTTPException(403, "send the header Authorization: Bearer TOKEN")
    if not isinstance(given, dict):
        raise ReviewInvalid("it is no JSON object")
    words = {str(name): str(value) for name, value in given.items()}
    is_new = keep(site, row_asked_for(site, request), visitor.name, words)
    return JSONResponse({"stored": is_new, "notice": NOTICE}, 201 if is_new else 200)


def description(*, may_review: bool) -> dict[str, Any]:
    """Return the OpenAPI document (3.1) of these addresses."""
    filters = [
        _parameter("batch", "a batch's name, its beginning, or last"),
        _parameter(
            "status", "may be given several times", {"enum": [each.value for each in Status]}
        ),
        _parameter(
            "source",
            "a part of the path; * and ? are wildcards. Of a large ledger some rows are looked at: "
            "there may be few or none, and yet an after to go on from",
        ),
        _parameter("since", "ISO 8601; rows from this time on", {"format": "date-time"}),
        _parameter("until", "ISO 8601; rows before this time", {"format": "date-time"}),
        _parameter("unseen", "anything: only what you have not reviewed"),
        _parameter("after", "the place that the page before named"),
    ]
    number = {
        "name": "scan_id",
        "in": "path",
        "required": True,
        "schema": {"type": "integer"},
    }
    paths: dict[str, Any] = {
        "/api/batches": {"get": _operation("The newest batches with their counts")},
        "/api/results": {"get": _operation("Rows, those that need a person first", filters)},
        "/api/scans/{scan_id}": {
            "get": _operation("One scan with its history and reviews", [number])
        },
    }
    if may_review:
        paths["/api/scans/{scan_id}/reviews"] = {
            "post": _operation("Say what you think of a measurement", [number])
            | {
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Review"}}
                    },
                }
            }
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "hc-batch", "version": "1", "description": NOTICE},
        "paths": paths,
        "components": {
            "schemas": {"Row": _schema(columns_of(ReportRow)), "Review": _review_schema()},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _answer(values: dict[str, object]) -> Response:
    return Response(orjson.dumps(values | {"notice": NOTICE}), media_type="application/json")


def _review(stored: StoredReview) -> dict[str, object]:
    review = stored.review
    measured = review.measurement
    sizes = (
        {}
        if measured is None
        else {name: getattr(measured, name) for name in (*ELLIPSE, "hc_mm", "bpd_mm", "ofd_mm")}
    )
    return {
        "reviewer": review.reviewer,
        "verdict": review.verdict.value,
        "reason": review.reason,
        "model": review.model,
        "at": _time(stored.at),
        **sizes,
    }


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _parameter(name: str, means: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "description": means,
        "schema": {"type": "string", **(schema or {})},
    }


def _operation(summary: str, parameters: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "summary": summary,
        "parameters": parameters or [],
        "security": [{"token": []}, {}],
        "responses": {
            "200": {"description": "as asked"},
            "400": {"description": "a filter or a review that cannot be read; the text says which"},
            "401": {"description": "a token is needed"},
        },
    }


_TYPES = {int: "integer", float: "number", tuple: "array"}


def _schema(columns: tuple[Column, ...]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for column in columns:
        kind = _TYPES.get(column.type, "string")
        about = column.meaning + (f", {column.unit}" if column.unit else "")
        properties[column.name] = {
            "type": [kind, "null"] if column.optional else kind,
            "description": about,
            **({"items": {"type": "string"}} if kind == "array" else {}),
        }
    return {"type": "object", "properties": properties}


def _review_schema() -> dict[str, Any]:
    numbers = {name: {"type": "number"} for name in ELLIPSE}
    return {
        "type": "object",
        "required": ["verdict", "request_key"],
        "properties": {
            "verdict": {"enum": [each.value for each in Verdict]},
            "reason": {"enum": list(REASONS), "description": "where it is rejected"},
            "request_key": {"type": "string", "description": "yours; the same is stored once"},
            **numbers,
        },
    }
