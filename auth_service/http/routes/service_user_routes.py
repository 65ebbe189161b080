"""Routes of the accounts that services create (scope `users`)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from auth_service.deadlines import deadline
from auth_service.domain.services import Service, ServicePrincipal
from auth_service.domain.users import is_reserved, parse_new_user_id, parse_user_id
from auth_service.http.authentication import UserOrService
from auth_service.http.client_address import ClientAddress
from auth_service.http.openapi_parts import BEARER_PROBLEMS, TOO_LONG, problems
from auth_service.http.origins import FromAllowedOrigin
from auth_service.http.schemas import LoggedIn, Registered, logged_in
from auth_service.use_cases.service_users import ServiceUsers
from shared.contracts.scopes import USERS
from shared.errors import Forbidden, InvalidRequest, NotFound, UserExists

PREFIX = "/v1/users"


def _as_sent(request: Request) -> None:
    """Refuse another spelling of the path, such as one with encoded letters or a dot segment.

    Raises:
        NotFound: the path is not spelt as in the description.
    """
    sent = request.scope.get("raw_path", b"").decode("latin-1")
    if not sent.startswith(PREFIX + "/") or request.path_params["user_id"] in (".", ".."):
        raise NotFound("There is no resource at this path.")


def _service(principal: UserOrService) -> Service:
    """Return the authenticated service.

    Raises:
        Forbidden: the token is one of a user, or does not have the scope `users`.
    """
    if not isinstance(principal, ServicePrincipal) or USERS not in principal.scopes:
        raise Forbidden(f"The scope `{USERS}` is required.")
    return principal.service


Manager = Annotated[Service, Depends(_service)]


def _known_id(user_id: str) -> str:
    """Return the id of an account in its stored form.

    Raises:
        NotFound: no account that a service may address has this id.
    """
    try:
        found = parse_user_id(user_id)
    except ValueError:
        raise NotFound from None
    if is_reserved(found):
        raise NotFound
    return found


def service_user_routes(users: ServiceUsers) -> APIRouter:
    """Build `/v1/users/{user_id}` and `/v1/users/{user_id}/login`."""
    routes = APIRouter(dependencies=[Depends(_as_sent), FromAllowedOrigin])

    @routes.put(
        PREFIX + "/{user_id}",
        status_code=201,
        responses=problems(InvalidRequest, UserExists, *BEARER_PROBLEMS)
        | {200: {"model": Registered, "description": "This service has created the account before"}}
        | TOO_LONG,
    )
    async def create(user_id: str, service: Manager, response: Response) -> Registered:
        """Create an account without a passcode, which belongs to the authenticated service."""
        try:
            new_id = parse_new_user_id(user_id)
        except ValueError as error:
            raise InvalidRequest(f"The id {error}.") from None
        async with deadline():
            user, created = await users.create(service, new_id)
        response.status_code = 201 if created else 200
        return Registered(id=user.id, created_at=user.created_at)

    @routes.post(
        PREFIX + "/{user_id}/login",
        response_model_exclude_none=True,
        responses=problems(NotFound, *BEARER_PROBLEMS) | TOO_LONG,
    )
    async def login(user_id: str, request: Request, service: Manager, client_address: ClientAddress) -> LoggedIn:
        """Lend a login to an account of the authenticated service; revoking the service ends it."""
        async with deadline():
            tokens = await users.lend_login(
                service, _known_id(user_id), request.headers.get("user-agent"), client_address
            )
        return logged_in(tokens)

    @routes.delete(
        PREFIX + "/{user_id}",
        status_code=204,
        responses=problems(NotFound, *BEARER_PROBLEMS) | TOO_LONG,
    )
    async def erase(user_id: str, service: Manager) -> Response:
        """Delete an account of the authenticated service permanently; its messages are erased within seconds."""
        async with deadline():
            await users.erase(service, _known_id(user_id))
        return Response(status_code=204)

    return routes
