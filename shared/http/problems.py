"""Errors as HTTP responses: problem documents (RFC 9457)."""

from __future__ import annotations

import math
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.errors import BackchatError, Internal, InvalidRequest, MethodNotAllowed, NotFound, Unavailable

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER = 1.0  # seconds, if the error has none


def problem(error: BackchatError, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """Build the response for an error, with `Retry-After` for 429 and 503."""
    headers = dict(headers or {})
    if error.status in (429, 503):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after or RETRY_AFTER)))
    body = {
        "type": f"urn:backchat:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        **more,
    }
    return JSONResponse(body, status_code=error.status, headers=headers, media_type=PROBLEM_JSON)


def from_http_exception(error: HTTPException) -> Response:
    """Build the response for an error that a router raises (404, 405, …)."""
    if error.status_code == 404:
        return problem(NotFound("There is no resource at this path."))
    if error.status_code == 405:
        return problem(MethodNotAllowed(), dict(error.headers or {}))
    if error.status_code >= 500:
        return problem(Unavailable() if error.status_code == 503 else Internal())
    return problem(InvalidRequest(str(error.detail)))


async def _http_exception(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return from_http_exception(error)


async def _failure(_request: Request, _error: Exception) -> Response:
    return problem(Internal())


def plain_app(routes: list[Route]) -> Starlette:
    """Build an app that answers every error with a problem document."""
    return Starlette(routes=routes, exception_handlers={HTTPException: _http_exception, Exception: _failure})
