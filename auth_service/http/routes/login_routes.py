"""Routes of logins: beginning, keeping, listing and ending them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from auth_service.deadlines import deadline
from auth_service.domain.logins import Tokens
from auth_service.http.bearer import Bearer
from auth_service.http.client_address import Source
from auth_service.http.json_bodies import read
from auth_service.http.openapi_parts import BEARER_PROBLEMS, BODY_PROBLEMS, TOO_LONG, body, for_pages, link, problems
from auth_service.http.problems import refused
from auth_service.http.refresh_cookie import SessionCookies
from auth_service.http.schemas import Credentials, LoggedIn, OwnLogin, OwnLogins, Refresh
from auth_service.use_cases.credential_check import CredentialCheck
from auth_service.use_cases.guests import Guests
from auth_service.use_cases.login_lifecycle import Logins
from shared.errors import (
    Forbidden,
    InvalidCredentials,
    InvalidRequest,
    NotFound,
    RateLimited,
    TokenExpired,
    TokenInvalid,
    Unavailable,
)

NEXT = link(200, "refresh", {"refresh_token": "$response.body#/refresh_token"})


def login_routes(check: CredentialCheck, logins: Logins, guests: Guests, cookies: SessionCookies) -> APIRouter:
    """`/login`, `/refresh`, `/guest`, `/logout`, `/logout/all` and `/me/logins`."""
    routes = APIRouter()
    _add_beginnings(routes, check, logins, guests, cookies)
    _add_refresh(routes, logins, cookies)
    _add_ends(routes, logins, cookies)
    _add_own(routes, logins)
    return routes


def _add_beginnings(
    routes: APIRouter, check: CredentialCheck, logins: Logins, guests: Guests, cookies: SessionCookies
) -> None:
    @routes.post(
        "/login",
        operation_id="login",
        response_model_exclude_none=True,
        responses=problems(*BODY_PROBLEMS, InvalidCredentials, Forbidden, RateLimited, Unavailable) | NEXT,
        openapi_extra=for_pages(body(Credentials)),
    )
    async def login(request: Request, response: Response, source: Source) -> LoggedIn:
        """Log in: an access token to show, a refresh token to keep."""
        in_cookie = cookies.asked(request)
        form = await read(request, Credentials)
        async with deadline():
            credentials = await check.verify(form.id, form.passcode, source)
            tokens = await logins.begin(credentials, request.headers.get("user-agent"), source)
        if in_cookie:
            cookies.give(request, response, tokens)
        return _logged_in(tokens, in_cookie)

    @routes.post(
        "/guest",
        response_model_exclude_none=True,
        responses=problems(NotFound, Forbidden, RateLimited, Unavailable) | NEXT,
        openapi_extra=for_pages({}),
    )
    async def guest(request: Request, response: Response, source: Source) -> LoggedIn:
        """Log in as somebody new, where guests are admitted. Choosing a passcode makes a user of a guest."""
        in_cookie = cookies.asked(request)
        async with deadline():
            tokens = await logins.begin(await guests.admit(source), request.headers.get("user-agent"), source)
        if in_cookie:
            cookies.give(request, response, tokens)
        return _logged_in(tokens, in_cookie)


def _add_refresh(routes: APIRouter, logins: Logins, cookies: SessionCookies) -> None:
    @routes.post(
        "/refresh",
        operation_id="refresh",
        response_model=LoggedIn,
        response_model_exclude_none=True,
        responses=problems(*BODY_PROBLEMS, TokenInvalid, TokenExpired, Forbidden, Unavailable) | NEXT,
        openapi_extra=for_pages(body(Refresh, required=False)),
    )
    async def refresh(request: Request, response: Response, source: Source) -> LoggedIn | Response:
        """Exchange a refresh token for new tokens; the old one dies. Lost the answer? Send it again within 10 s."""
        in_cookie = cookies.asked(request)
        token = (await read(request, Refresh, optional=in_cookie)).refresh_token
        if token is None and not in_cookie:
            raise InvalidRequest("refresh_token: Field required")
        try:
            async with deadline():
                tokens = await logins.refresh(token or cookies.read(request) or "", source)
        except (TokenInvalid, TokenExpired) as error:
            answer = refused(error)
            cookies.clear(request, answer)
            return answer
        if in_cookie:
            cookies.give(request, response, tokens)
        return _logged_in(tokens, in_cookie)


def _add_own(routes: APIRouter, logins: Logins) -> None:
    @routes.get("/me/logins", responses=problems(*BEARER_PROBLEMS))
    async def own_logins(session: Bearer) -> OwnLogins:
        """One's own logins that stand."""
        async with deadline():
            found = await logins.standing(session)
        return OwnLogins(logins=[OwnLogin.of(login, session.sid) for login in found])


def _add_ends(routes: APIRouter, logins: Logins, cookies: SessionCookies) -> None:
    def gone(request: Request) -> Response:
        answer = Response(status_code=204)
        cookies.clear(request, answer)
        return answer

    @routes.post("/logout", status_code=204, responses=problems(*BEARER_PROBLEMS))
    async def logout(request: Request, session: Bearer) -> Response:
        """End this login."""
        async with deadline():
            await logins.end(session)
        return gone(request)

    @routes.post("/logout/all", status_code=204, responses=problems(*BEARER_PROBLEMS))
    async def logout_all(request: Request, session: Bearer) -> Response:
        """End every login of one's own."""
        async with deadline():
            await logins.end_all(session)
        return gone(request)

    @routes.delete("/me/logins/{sid}", status_code=204, responses=problems(NotFound, *BEARER_PROBLEMS) | TOO_LONG)
    async def end_login(sid: str, session: Bearer) -> Response:
        """End one login of one's own."""
        async with deadline():
            await logins.end(session, sid)
        return Response(status_code=204)


def _logged_in(tokens: Tokens, in_cookie: bool) -> LoggedIn:  # noqa: FBT001 - private
    return LoggedIn(
        access_token=tokens.access_token,
        token_type="bearer",  # noqa: S106 - a type, not a token
        expires_in=tokens.expires_in,
        refresh_token=None if in_cookie else tokens.refresh_token,
        refresh_expires_in=tokens.refresh_expires_in,
    )
