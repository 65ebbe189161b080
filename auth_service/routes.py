"""The HTTP surface (contract §1), put together. Every error is a problem document; bad input never is our error."""

from __future__ import annotations

import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

import shared
from auth_service.body_limit import CLOSE
from auth_service.document_routes import add_documents
from auth_service.keys import KeyRing
from shared.errors import BackchatError, Internal, InvalidRequest, PayloadTooLarge, TokenExpired, TokenInvalid
from shared.runtime.http import from_http_exception, problem

logger = structlog.get_logger(__name__)

PATHS = frozenset({"/register", "/login", "/refresh", "/logout", "/me", "/.well-known/jwks.json", "/docs"})
PATHS |= {"/openapi.json"}
TREES = ("/logout/", "/me/")  # everything below


def serves(path: str) -> bool:
    """Whether a path on the one origin is auth's."""
    return path in PATHS or path.startswith(TREES)


def http_app(keys: KeyRing, *routes: APIRouter) -> FastAPI:
    """The app with these routes and the documents."""
    app = FastAPI(
        title="Backchat accounts",
        version=shared.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        exception_handlers={
            BackchatError: _refused,
            HTTPException: _not_routed,
            RequestValidationError: _malformed,
            Exception: _failed,
        },
    )
    for router in routes:
        app.include_router(router)
    add_documents(app, keys)
    return app


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BackchatError)
    headers = {}
    if isinstance(error, TokenInvalid | TokenExpired):
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    elif error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    elif isinstance(error, PayloadTooLarge):
        headers.update(CLOSE)
    return problem(error, headers)


async def _not_routed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return from_http_exception(error)


async def _malformed(_request: Request, _error: Exception) -> Response:
    return problem(InvalidRequest())


async def _failed(_request: Request, _error: Exception) -> Response:
    return problem(Internal())
