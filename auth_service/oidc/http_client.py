"""HTTP requests to the OpenID provider, limited in time and size."""

from __future__ import annotations

from typing import Any

import httpx2
import structlog

from auth_service.oidc.provider import RETRY_AFTER
from shared.errors import InvalidCredentials, Unavailable

logger = structlog.get_logger(__name__)

TIMEOUT = 4.0  # seconds for one request
RESPONSE_MAX = 256 * 1024  # bytes


class ProviderHttpClient:
    """The `SendRequest` of `auth_service.oidc.provider`."""

    def __init__(self) -> None:
        self._client = httpx2.AsyncClient()

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def __call__(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        """Send a request and return the response, a JSON object.

        Raises:
            InvalidCredentials: the provider refused.
            Unavailable: the provider did not respond, or its response is not a JSON object.
        """
        try:
            answer = await self._client.request(method, url, timeout=TIMEOUT, **more)
        except httpx2.HTTPError as error:
            logger.warning("provider_request.failed", reason=type(error).__name__)
            raise Unavailable("The provider does not respond.", retry_after=RETRY_AFTER) from None
        if answer.status_code in (400, 401, 403):
            raise InvalidCredentials("The provider refused this login.")
        try:
            found = answer.json() if answer.is_success and len(answer.content) <= RESPONSE_MAX else None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Unavailable("The provider sent an unexpected response.", retry_after=RETRY_AFTER)
        return found
