"""Routes of accounts: registering, and what is one's own."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from auth_service.deadlines import deadline
from auth_service.http.bearer import Bearer
from auth_service.http.client_address import Source
from auth_service.http.json_bodies import read
from auth_service.http.openapi_parts import BEARER_PROBLEMS, BODY_PROBLEMS, body, link, problems
from auth_service.http.schemas import Deletion, Me, PasscodeChange, Registered, Registration
from auth_service.use_cases.accounts import Accounts
from shared.errors import Forbidden, InvalidCredentials, RateLimited, Unavailable, UserExists, WeakPasscode


def account_routes(accounts: Accounts) -> APIRouter:
    """`/register`, `/me` and `/me/passcode`."""
    routes = APIRouter()
    _add_own(routes, accounts)

    @routes.post(
        "/register",
        status_code=201,
        responses=problems(*BODY_PROBLEMS, WeakPasscode, UserExists, RateLimited, Unavailable)
        | link(201, "login", {"id": "$request.body#/id", "passcode": "$request.body#/passcode"}),
        openapi_extra=body(Registration),
    )
    async def register(request: Request, source: Source) -> Registered:
        """Open an account."""
        form = await read(request, Registration)
        async with deadline():
            user = await accounts.register(form.id, form.passcode, source)
        return Registered(id=user.id, created_at=user.created_at)

    return routes


def _add_own(routes: APIRouter, accounts: Accounts) -> None:
    @routes.get("/me", responses=problems(*BEARER_PROBLEMS))
    async def me(session: Bearer) -> Me:
        """Whose token this is."""
        return Me(id=session.user.id, created_at=session.user.created_at, roles=list(session.user.roles))

    @routes.put(
        "/me/passcode",
        status_code=204,
        responses=problems(*BODY_PROBLEMS, WeakPasscode, InvalidCredentials, Forbidden, RateLimited, *BEARER_PROBLEMS),
        openapi_extra=body(PasscodeChange),
    )
    async def change_passcode(request: Request, session: Bearer, source: Source) -> Response:
        """Change one's passcode; every other login ends."""
        form = await read(request, PasscodeChange)
        async with deadline():
            await accounts.change_passcode(session.user, session.sid, form.current_passcode, form.new_passcode, source)
        return Response(status_code=204)

    @routes.delete(
        "/me",
        status_code=204,
        responses=problems(*BODY_PROBLEMS, InvalidCredentials, RateLimited, *BEARER_PROBLEMS),
        openapi_extra=body(Deletion),
    )
    async def delete(request: Request, session: Bearer, source: Source) -> Response:
        """Delete one's account for ever; what one wrote is erased from every chat within seconds."""
        form = await read(request, Deletion, optional=True)
        async with deadline():
            await accounts.delete(session.user, form.passcode, source)
        return Response(status_code=204)
