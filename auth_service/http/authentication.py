"""Authentication of a request by its access token, with a lookup of the login in the database each time."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from auth_service.deadlines import deadline
from auth_service.domain.logins import Principal
from auth_service.domain.services import ServicePrincipal
from auth_service.use_cases.authentication import Authentication
from shared.errors import Forbidden, TokenInvalid

_scheme = HTTPBearer(auto_error=False, bearerFormat="JWT", description="Access token of `/login` or `/token`")


def authenticate_with(app: FastAPI, authentication: Authentication) -> None:
    """Set what authenticates the requests of an app."""
    app.state.authentication = authentication


async def _principal(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_scheme)]
) -> Principal | ServicePrincipal:
    """Return the authenticated user or service of a request.

    Raises:
        TokenInvalid: the token is missing or not valid, or its login has ended.
        TokenExpired: the token has expired.
        Unavailable: the database is away.
    """
    if bearer is None:
        raise TokenInvalid("An access token is required: `Authorization: Bearer …`.")
    authentication: Authentication = request.app.state.authentication
    async with deadline():
        return await authentication.principal(bearer.credentials)


UserOrService = Annotated[Principal | ServicePrincipal, Depends(_principal)]


def _user(principal: UserOrService) -> Principal:
    """Return the authenticated user and login of a request.

    Raises:
        Forbidden: the token is one of a service.
    """
    if isinstance(principal, ServicePrincipal):
        raise Forbidden("Services may not do this.")
    return principal


Authenticated = Annotated[Principal, Depends(_user)]
