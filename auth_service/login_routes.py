"""Routes of logins: beginning, keeping, listing and ending them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from auth_service.bearer import Bearer
from auth_service.bodies import read
from auth_service.credentials import CredentialCheck
from auth_service.deadlines import deadline
from auth_service.descriptions import BEARER_PROBLEMS, BODY_PROBLEMS, body, problems
from auth_service.forms import Credentials, LoggedIn, OwnLogin, OwnLogins, Refresh
from auth_service.logins import Logins, Tokens
from auth_service.sources import Source
from shared.errors import InvalidCredentials, NotFound, RateLimited, TokenExpired, TokenInvalid, Unavailable


def login_routes(check: CredentialCheck, logins: Logins) -> APIRouter:
    """`/login`, `/refresh`, `/logout`, `/logout/all` and `/me/logins`."""
    routes = APIRouter()
    _add_beginnings(routes, check, logins)
    _add_ends(routes, logins)

    @routes.get("/me/logins", responses=problems(*BEARER_PROBLEMS))
    async def own_logins(session: Bearer) -> OwnLogins:
        """One's own logins that stand."""
        async with deadline():
            found = await logins.standing(session)
        return OwnLogins(logins=[OwnLogin.of(login, session.sid) for login in found])

    return routes


def _add_beginnings(routes: APIRouter, check: CredentialCheck, logins: Logins) -> None:
    @routes.post(
        "/login",
        responses=problems(*BODY_PROBLEMS, InvalidCredentials, RateLimited, Unavailable),
        openapi_extra=body(Credentials),
    )
    async def login(request: Request, source: Source) -> LoggedIn:
        """Log in: an access token to show, a refresh token to keep."""
        form = await read(request, Credentials)
        async with deadline():
            credentials = await check.verify(form.id, form.passcode, source)
            tokens = await logins.begin(credentials, request.headers.get("user-agent"))
        return _logged_in(tokens)

    @routes.post(
        "/refresh",
        responses=problems(*BODY_PROBLEMS, TokenInvalid, TokenExpired, Unavailable),
        openapi_extra=body(Refresh),
    )
    async def refresh(request: Request) -> LoggedIn:
        """Exchange a refresh token for new tokens; the old one dies. Lost the answer? Send it again within 10 s."""
        form = await read(request, Refresh)
        async with deadline():
            tokens = await logins.refresh(form.refresh_token)
        return _logged_in(tokens)


def _add_ends(routes: APIRouter, logins: Logins) -> None:
    @routes.post("/logout", status_code=204, responses=problems(*BEARER_PROBLEMS))
    async def logout(session: Bearer) -> Response:
        """End this login."""
        async with deadline():
            await logins.end(session)
        return Response(status_code=204)

    @routes.post("/logout/all", status_code=204, responses=problems(*BEARER_PROBLEMS))
    async def logout_all(session: Bearer) -> Response:
        """End every login of one's own."""
        async with deadline():
            await logins.end_all(session)
        return Response(status_code=204)

    @routes.delete("/me/logins/{sid}", status_code=204, responses=problems(NotFound, *BEARER_PROBLEMS))
    async def end_login(sid: str, session: Bearer) -> Response:
        """End one login of one's own."""
        async with deadline():
            await logins.end(session, sid)
        return Response(status_code=204)


def _logged_in(tokens: Tokens) -> LoggedIn:
    return LoggedIn(
        access_token=tokens.access_token,
        expires_in=tokens.expires_in,
        refresh_token=tokens.refresh_token,
        refresh_expires_in=tokens.refresh_expires_in,
    )
