"""The bearer of a request: an access token, checked, its login looked up in the database each time."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from auth_service.deadlines import deadline
from auth_service.domain.logins import Session
from auth_service.use_cases.login_lifecycle import Logins
from shared.errors import TokenInvalid

_scheme = HTTPBearer(auto_error=False, bearerFormat="JWT", description="Access token of `/login`")


def check_bearers(app: FastAPI, logins: Logins) -> None:
    """Let the routes of this app that ask for a `Bearer` be asked by those logins."""
    app.state.logins = logins


async def _session(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)]
) -> Session:
    """Who asks.

    Raises:
        TokenInvalid: no token, not one of ours, or its login is over.
        TokenExpired: its time is over.
        Unavailable: the database is away.
    """
    if bearer is None:
        raise TokenInvalid("An access token is needed: `Authorization: Bearer …`.")
    logins: Logins = request.app.state.logins
    async with deadline():
        return await logins.session(bearer.credentials)


Bearer = Annotated[Session, Depends(_session)]
