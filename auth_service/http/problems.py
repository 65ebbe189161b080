"""Errors as responses: problem documents (RFC 9457) with the headers that belong to them."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from auth_service.http.json_bodies import BodyTimeout
from auth_service.http.middleware.body_limit import CLOSE
from auth_service.http.middleware.head_requests import READ_ONLY
from shared.errors import (
    BackchatError,
    Internal,
    InvalidRequest,
    MethodNotAllowed,
    PayloadTooLarge,
    TokenExpired,
    TokenInvalid,
)
from shared.http.problems import from_http_exception, problem


def problem_response(error: BackchatError) -> Response:
    """Build the response for an error."""
    headers = {}
    if isinstance(error, TokenInvalid | TokenExpired):
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    elif error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, PayloadTooLarge | BodyTimeout):
        headers.update(CLOSE)
    return problem(error, headers)


def install_error_handlers(app: FastAPI) -> None:
    """Answer every exception of an app with a problem document."""
    app.add_exception_handler(BackchatError, _refused)
    app.add_exception_handler(HTTPException, _not_routed)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(Exception, _failed)


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BackchatError)
    return problem_response(error)


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == MethodNotAllowed.status:
        return problem(MethodNotAllowed(), {"Allow": ", ".join(sorted(_methods(request)))})
    return from_http_exception(error)


def _methods(request: Request) -> set[str]:
    """Return the methods allowed at a path; the router itself names those of one route only."""
    allowed = {
        method
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }
    return allowed | {"HEAD"} if request.scope["path"] in READ_ONLY else allowed


async def _malformed(_request: Request, _error: Exception) -> Response:
    return problem(InvalidRequest())


async def _failed(_request: Request, _error: Exception) -> Response:
    return problem(Internal())
