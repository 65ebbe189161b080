"""Routes of accounts: register, show, change the passcode, delete."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from auth_service.deadlines import deadline
from auth_service.domain.services import ROLES as SERVICE_ROLES
from auth_service.domain.services import ServicePrincipal
from auth_service.http.authentication import Authenticated, UserOrService
from auth_service.http.client_address import ClientAddress
from auth_service.http.json_bodies import read_json
from auth_service.http.openapi_parts import BEARER_PROBLEMS, BODY_PROBLEMS, TOKEN_PROBLEMS, body, link, problems
from auth_service.http.schemas import Deletion, Me, PasscodeChange, Registered, Registration
from auth_service.use_cases.accounts import Accounts
from shared.errors import InvalidCredentials, RateLimited, Unavailable, UserExists, WeakPasscode


def account_routes(accounts: Accounts) -> APIRouter:
    """Build `/register`, `/me` and `/me/passcode`."""
    routes = APIRouter()
    _add_own(routes, accounts)

    @routes.post(
        "/register",
        status_code=201,
        responses=problems(*BODY_PROBLEMS, WeakPasscode, UserExists, RateLimited, Unavailable)
        | link(201, "login", {"id": "$request.body#/id", "passcode": "$request.body#/passcode"}),
        openapi_extra=body(Registration),
    )
    async def register(request: Request, client_address: ClientAddress) -> Registered:
        """Create an account."""
        form = await read_json(request, Registration)
        async with deadline():
            user = await accounts.register(form.id, form.passcode, client_address)
        return Registered(id=user.id, created_at=user.created_at)

    return routes


def _add_own(routes: APIRouter, accounts: Accounts) -> None:
    @routes.get("/me", responses=problems(*TOKEN_PROBLEMS))
    async def me(principal: UserOrService) -> Me:
        """Return the authenticated user or service."""
        if isinstance(principal, ServicePrincipal):
            service = principal.service
            return Me(id=service.id, created_at=service.created_at, roles=list(SERVICE_ROLES))
        return Me(id=principal.user.id, created_at=principal.user.created_at, roles=list(principal.user.roles))

    @routes.put(
        "/me/passcode",
        status_code=204,
        responses=problems(*BODY_PROBLEMS, WeakPasscode, InvalidCredentials, RateLimited, *BEARER_PROBLEMS),
        openapi_extra=body(PasscodeChange),
    )
    async def change_passcode(request: Request, principal: Authenticated, client_address: ClientAddress) -> Response:
        """Change the passcode of the authenticated user; every other login ends."""
        form = await read_json(request, PasscodeChange)
        async with deadline():
            await accounts.change_passcode(
                principal.user, principal.sid, form.current_passcode, form.new_passcode, client_address
            )
        return Response(status_code=204)

    @routes.delete(
        "/me",
        status_code=204,
        responses=problems(*BODY_PROBLEMS, InvalidCredentials, RateLimited, *BEARER_PROBLEMS),
        openapi_extra=body(Deletion),
    )
    async def delete(request: Request, principal: Authenticated, client_address: ClientAddress) -> Response:
        """Delete the account of the authenticated user permanently; its messages are erased within seconds."""
        form = await read_json(request, Deletion, optional=True)
        async with deadline():
            await accounts.delete(principal.user, form.passcode, client_address)
        return Response(status_code=204)
