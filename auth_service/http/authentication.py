"""Authentication of a request by its access token, with a lookup of the login in the database each time."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from auth_service.deadlines import deadline
from auth_service.domain.logins import Principal
from auth_service.use_cases.login_lifecycle import LoginLifecycle
from shared.errors import TokenInvalid

_scheme = HTTPBearer(auto_error=False, bearerFormat="JWT", description="Access token of `/login`")


def authenticate_with(app: FastAPI, logins: LoginLifecycle) -> None:
    """Set the logins that authenticate the requests of an app."""
    app.state.logins = logins


async def _principal(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)]
) -> Principal:
    """Return the authenticated user and login of a request.

    Raises:
        TokenInvalid: the token is missing or not valid, or its login has ended.
        TokenExpired: the token has expired.
        Unavailable: the database is away.
    """
    if bearer is None:
        raise TokenInvalid("An access token is required: `Authorization: Bearer …`.")
    logins: LoginLifecycle = request.app.state.logins
    async with deadline():
        return await logins.authenticate(bearer.credentials)


Authenticated = Annotated[Principal, Depends(_principal)]
