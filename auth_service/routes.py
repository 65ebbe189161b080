"""The public HTTP surface (contract §1). Every error is a problem document; bad input never is our error."""

from __future__ import annotations

from typing import Annotated, Any

import structlog
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.responses import Response

import shared
from auth_service import docs_page
from auth_service.accounts import Accounts
from auth_service.body_limit import CLOSE
from auth_service.deadlines import deadline
from auth_service.forms import JSON_TYPE, Credentials, LoggedIn, Me, Problem, Registered, Registration, read
from auth_service.keys import KeyRing
from shared.errors import (
    BackchatError,
    Internal,
    InvalidCredentials,
    InvalidRequest,
    PayloadTooLarge,
    TokenExpired,
    TokenInvalid,
    Unavailable,
    UnsupportedMediaType,
    UserExists,
    WeakPasscode,
)
from shared.runtime.http import PROBLEM_JSON, from_http_exception, problem

logger = structlog.get_logger(__name__)

PATHS = frozenset({"/register", "/login", "/me", "/.well-known/jwks.json", "/docs", "/openapi.json"})
JWKS_MAX_AGE = 300  # seconds

_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="Access token of `/login`")


def public_app(accounts: Accounts, keys: KeyRing) -> FastAPI:
    """The app with all routes of `PATHS`."""
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
    _add_accounts(app, accounts)
    _add_documents(app, keys)
    return app


def _add_accounts(app: FastAPI, accounts: Accounts) -> None:
    @app.post(
        "/register",
        status_code=201,
        responses=_problems(
            InvalidRequest, WeakPasscode, UserExists, PayloadTooLarge, UnsupportedMediaType, Unavailable
        ),
        openapi_extra=_body(Registration),
    )
    async def register(request: Request) -> Registered:
        """Open an account."""
        form = await read(request, Registration)
        async with deadline():
            user = await accounts.register(form.id, form.passcode)
        return Registered(id=user.id, created_at=user.created_at)

    @app.post(
        "/login",
        responses=_problems(InvalidRequest, InvalidCredentials, PayloadTooLarge, UnsupportedMediaType, Unavailable),
        openapi_extra=_body(Credentials),
    )
    async def login(request: Request) -> LoggedIn:
        """Log in: an access token to show, a refresh token to keep."""
        form = await read(request, Credentials)
        async with deadline():
            tokens = await accounts.login(form.id, form.passcode)
        return LoggedIn(
            access_token=tokens.access_token,
            expires_in=tokens.expires_in,
            refresh_token=tokens.refresh_token,
            refresh_expires_in=tokens.refresh_expires_in,
        )

    @app.get("/me", responses=_problems(TokenInvalid, TokenExpired, Unavailable))
    async def me(bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Me:
        """Whose token this is."""
        if bearer is None:
            raise TokenInvalid("An access token is needed: `Authorization: Bearer …`.")
        async with deadline():
            user = await accounts.me(bearer.credentials)
        return Me(id=user.id, created_at=user.created_at, roles=list(user.roles))


def _add_documents(app: FastAPI, keys: KeyRing) -> None:
    @app.get("/.well-known/jwks.json")
    async def jwks() -> dict[str, Any]:
        """The public keys that access tokens are signed with (RFC 7517)."""
        return JSONResponse(keys.jwks(), headers={"Cache-Control": f"public, max-age={JWKS_MAX_AGE}"})  # type: ignore[return-value]

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return JSONResponse(app.openapi(), headers={"Cache-Control": "no-cache"})

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        headers = {"Cache-Control": "no-cache", "Content-Security-Policy": docs_page.CONTENT_SECURITY_POLICY}
        return HTMLResponse(docs_page.render(app.openapi()), headers=headers)


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


def _body(form: type[Registration | Credentials]) -> dict[str, Any]:
    """The request body in the interface description; we read it ourselves, FastAPI does not see it."""
    return {"requestBody": {"required": True, "content": {JSON_TYPE: {"schema": form.model_json_schema()}}}}


def _problems(*errors: type[BackchatError]) -> dict[int | str, dict[str, Any]]:
    """The problems of a route in the interface description, by status."""
    schema = Problem.model_json_schema()
    found: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        known = found.get(error.status)
        codes = f"{known['description']}, `{error.code}`" if known else f"`{error.code}`"
        found[error.status] = {"description": codes, "content": {PROBLEM_JSON: {"schema": schema}}}
    return found
