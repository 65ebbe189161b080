"""Routes of logins: begin, refresh, list, end."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from auth_service.deadlines import deadline
from auth_service.domain.services import ServicePrincipal
from auth_service.http.authentication import Authenticated, UserOrService
from auth_service.http.client_address import ClientAddress
from auth_service.http.json_bodies import read_json
from auth_service.http.openapi_parts import (
    BEARER_PROBLEMS,
    BODY_PROBLEMS,
    TOKEN_PROBLEMS,
    TOO_LONG,
    body,
    link,
    problems,
    with_cookie_header,
)
from auth_service.http.problems import problem_response
from auth_service.http.refresh_cookie import RefreshCookies
from auth_service.http.schemas import Credentials, LoggedIn, OwnLogin, OwnLogins, Refresh, logged_in
from auth_service.use_cases.credential_check import CredentialCheck
from auth_service.use_cases.guests import Guests
from auth_service.use_cases.login_lifecycle import LoginLifecycle
from auth_service.use_cases.service_tokens import ServiceTokens
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


def login_routes(
    check: CredentialCheck, logins: LoginLifecycle, services: ServiceTokens, guests: Guests, cookies: RefreshCookies
) -> APIRouter:
    """Build `/login`, `/refresh`, `/guest`, `/logout`, `/logout/all` and `/me/logins`."""
    routes = APIRouter()
    _add_begin(routes, check, logins, guests, cookies)
    _add_refresh(routes, logins, cookies)
    _add_end(routes, logins, services, cookies)
    _add_list(routes, logins)
    return routes


def _add_begin(
    routes: APIRouter, check: CredentialCheck, logins: LoginLifecycle, guests: Guests, cookies: RefreshCookies
) -> None:
    @routes.post(
        "/login",
        operation_id="login",
        response_model_exclude_none=True,
        responses=problems(*BODY_PROBLEMS, InvalidCredentials, Forbidden, RateLimited, Unavailable) | NEXT,
        openapi_extra=with_cookie_header(body(Credentials)),
    )
    async def login(request: Request, response: Response, client_address: ClientAddress) -> LoggedIn:
        """Log in with an id and a passcode, and receive an access token and a refresh token."""
        in_cookie = cookies.is_requested(request)
        form = await read_json(request, Credentials)
        async with deadline():
            credentials = await check.verify(form.id, form.passcode, client_address)
            tokens = await logins.begin(credentials, request.headers.get("user-agent"), client_address)
        if in_cookie:
            cookies.set(request, response, tokens)
        return logged_in(tokens, in_cookie=in_cookie)

    @routes.post(
        "/guest",
        response_model_exclude_none=True,
        responses=problems(NotFound, Forbidden, RateLimited, Unavailable) | NEXT,
        openapi_extra=with_cookie_header({}),
    )
    async def guest(request: Request, response: Response, client_address: ClientAddress) -> LoggedIn:
        """Log in as a new guest, if guests are admitted. A guest who sets a passcode becomes a regular user."""
        in_cookie = cookies.is_requested(request)
        async with deadline():
            tokens = await logins.begin(
                await guests.admit(client_address), request.headers.get("user-agent"), client_address
            )
        if in_cookie:
            cookies.set(request, response, tokens)
        return logged_in(tokens, in_cookie=in_cookie)


def _add_refresh(routes: APIRouter, logins: LoginLifecycle, cookies: RefreshCookies) -> None:
    @routes.post(
        "/refresh",
        operation_id="refresh",
        response_model=LoggedIn,
        response_model_exclude_none=True,
        responses=problems(*BODY_PROBLEMS, TokenInvalid, TokenExpired, Forbidden, Unavailable) | NEXT,
        openapi_extra=with_cookie_header(body(Refresh, required=False)),
    )
    async def refresh(request: Request, response: Response, client_address: ClientAddress) -> LoggedIn | Response:
        """Exchange a refresh token for new tokens, once. If the response was lost, send it again within 10 s."""
        in_cookie = cookies.is_requested(request)
        token = (await read_json(request, Refresh, optional=in_cookie)).refresh_token
        if token is None and not in_cookie:
            raise InvalidRequest("refresh_token: Field required")
        try:
            async with deadline():
                tokens = await logins.refresh(token or cookies.read(request) or "", client_address)
        except (TokenInvalid, TokenExpired) as error:
            answer = problem_response(error)
            cookies.clear(request, answer)
            return answer
        if in_cookie:
            cookies.set(request, response, tokens)
        return logged_in(tokens, in_cookie=in_cookie)


def _add_list(routes: APIRouter, logins: LoginLifecycle) -> None:
    @routes.get("/me/logins", responses=problems(*BEARER_PROBLEMS))
    async def own_logins(principal: Authenticated) -> OwnLogins:
        """List the active logins of the authenticated user."""
        async with deadline():
            found = await logins.active_logins(principal)
        return OwnLogins(logins=[OwnLogin.of(login, principal.sid) for login in found])


def _add_end(routes: APIRouter, logins: LoginLifecycle, services: ServiceTokens, cookies: RefreshCookies) -> None:
    def ended(request: Request) -> Response:
        answer = Response(status_code=204)
        cookies.clear(request, answer)
        return answer

    @routes.post("/logout", status_code=204, responses=problems(*TOKEN_PROBLEMS))
    async def logout(request: Request, principal: UserOrService) -> Response:
        """End the current login. A service ends its access token; its key stays valid."""
        async with deadline():
            if isinstance(principal, ServicePrincipal):
                await services.end(principal)
            else:
                await logins.end(principal)
        return ended(request)

    @routes.post("/logout/all", status_code=204, responses=problems(*BEARER_PROBLEMS))
    async def logout_all(request: Request, principal: Authenticated) -> Response:
        """End every login of the authenticated user."""
        async with deadline():
            await logins.end_all(principal)
        return ended(request)

    @routes.delete("/me/logins/{sid}", status_code=204, responses=problems(NotFound, *BEARER_PROBLEMS) | TOO_LONG)
    async def end_login(sid: str, principal: Authenticated) -> Response:
        """End one login of the authenticated user."""
        async with deadline():
            await logins.end(principal, sid)
        return Response(status_code=204)
