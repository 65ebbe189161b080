"""Routes of accounts: registering, and what is one's own."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from auth_service.accounts import Accounts
from auth_service.bearer import Bearer
from auth_service.bodies import read
from auth_service.deadlines import deadline
from auth_service.descriptions import BEARER_PROBLEMS, BODY_PROBLEMS, body, problems
from auth_service.forms import Me, PasscodeChange, Registered, Registration
from shared.errors import InvalidCredentials, Unavailable, UserExists, WeakPasscode


def account_routes(accounts: Accounts) -> APIRouter:
    """`/register`, `/me` and `/me/passcode`."""
    routes = APIRouter()

    @routes.post(
        "/register",
        status_code=201,
        responses=problems(*BODY_PROBLEMS, WeakPasscode, UserExists, Unavailable),
        openapi_extra=body(Registration),
    )
    async def register(request: Request) -> Registered:
        """Open an account."""
        form = await read(request, Registration)
        async with deadline():
            user = await accounts.register(form.id, form.passcode)
        return Registered(id=user.id, created_at=user.created_at)

    @routes.get("/me", responses=problems(*BEARER_PROBLEMS))
    async def me(session: Bearer) -> Me:
        """Whose token this is."""
        return Me(id=session.user.id, created_at=session.user.created_at, roles=list(session.user.roles))

    @routes.put(
        "/me/passcode",
        status_code=204,
        responses=problems(*BODY_PROBLEMS, WeakPasscode, InvalidCredentials, *BEARER_PROBLEMS),
        openapi_extra=body(PasscodeChange),
    )
    async def change_passcode(request: Request, session: Bearer) -> Response:
        """Change one's passcode; every other login ends."""
        form = await read(request, PasscodeChange)
        async with deadline():
            await accounts.change_passcode(session.user, session.sid, form.current_passcode, form.new_passcode)
        return Response(status_code=204)

    return routes
