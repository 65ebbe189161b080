"""Authentication of a request by its access token, with a lookup in the database each time."""

from __future__ import annotations

from auth_service.crypto.access_tokens import AccessTokens
from auth_service.domain.logins import Principal
from auth_service.domain.services import ServicePrincipal
from auth_service.use_cases.login_lifecycle import LoginLifecycle
from auth_service.use_cases.service_tokens import ServiceTokens


class Authentication:
    """Finds the user or the service behind an access token."""

    def __init__(self, access_tokens: AccessTokens, logins: LoginLifecycle, services: ServiceTokens) -> None:
        self._access_tokens = access_tokens
        self._logins = logins
        self._services = services

    async def principal(self, access_token: object) -> Principal | ServicePrincipal:
        """Return the user or the service of a token.

        Raises:
            TokenExpired: the token has expired.
            TokenInvalid: the token is not valid, or its login, its key or the token itself has ended.
            Unavailable: the database is away.
        """
        claims = self._access_tokens.verify(access_token)
        if claims.scopes is None:
            return await self._logins.authenticate(claims)
        return await self._services.authenticate(claims)
