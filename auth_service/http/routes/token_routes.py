"""The route of the token endpoint (RFC 6749), for services."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from auth_service.deadlines import deadline
from auth_service.domain.services import UnknownScope
from auth_service.http.client_address import ClientAddress
from auth_service.http.client_credentials import (
    FORM_TYPE,
    UNCACHED,
    InvalidClient,
    InvalidScope,
    TokenRefused,
    read_token_request,
)
from auth_service.http.openapi_parts import problems
from auth_service.http.origins import FromAllowedOrigin
from auth_service.http.schemas import ServiceToken, TokenError, TokenForm
from auth_service.use_cases.service_tokens import ServiceTokens
from shared.errors import Forbidden, InvalidCredentials, PayloadTooLarge, RateLimited, Unavailable

REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": TokenError, "description": "`invalid_request`, `unsupported_grant_type`, `invalid_scope`"},
    401: {"model": TokenError, "description": "`invalid_client`"},
}
FORM = {"requestBody": {"required": True, "content": {FORM_TYPE: {"schema": TokenForm.model_json_schema()}}}}


def token_routes(services: ServiceTokens) -> APIRouter:
    """Build `/token`."""
    routes = APIRouter()

    @routes.post(
        "/token",
        response_model=ServiceToken,
        responses=problems(Forbidden, PayloadTooLarge, RateLimited, Unavailable) | REFUSALS,
        openapi_extra=FORM,
        dependencies=[FromAllowedOrigin],
    )
    async def token(request: Request, response: Response, client_address: ClientAddress) -> ServiceToken | Response:
        """Issue an access token to a service, for its name and a key (RFC 6749, section 4.4).

        Both are sent by HTTP Basic, form-decoded, or as `client_id` and `client_secret` in the form.
        """
        try:
            asked = await read_token_request(request)
            async with deadline():
                issued = await services.issue(asked.name, asked.key, asked.scopes, client_address)
        except TokenRefused as refusal:
            return refusal.response()
        except InvalidCredentials:
            return InvalidClient().response()
        except UnknownScope:
            return InvalidScope("A scope is unknown or was not granted.").response()
        response.headers.update(UNCACHED)
        return ServiceToken(
            access_token=issued.access_token,
            token_type="bearer",  # noqa: S106 - a type, not a token
            expires_in=issued.expires_in,
            scope=" ".join(issued.scopes),
        )

    return routes
