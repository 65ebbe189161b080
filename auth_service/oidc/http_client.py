"""HTTP to the OpenID provider, bounded in time and size."""

from __future__ import annotations

from typing import Any

import httpx2
import structlog

from auth_service.oidc.provider import RETRY_AFTER
from shared.errors import InvalidCredentials, Unavailable

logger = structlog.get_logger(__name__)

TIMEOUT = 4.0  # seconds for one request
ANSWER_MAX = 256 * 1024  # bytes


class OidcRequests:
    """See `auth_service.oidc.provider.Ask`."""

    def __init__(self) -> None:
        self._client = httpx2.AsyncClient()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __call__(self, method: str, url: str, **more: Any) -> dict[str, Any]:
        """The answer, a JSON object.

        Raises:
            InvalidCredentials: the provider refuses.
            Unavailable: it does not answer, or not as a provider does.
        """
        try:
            answer = await self._client.request(method, url, timeout=TIMEOUT, **more)
        except httpx2.HTTPError as error:
            logger.warning("the OpenID provider does not answer", reason=type(error).__name__)
            raise Unavailable("The provider does not answer.", retry_after=RETRY_AFTER) from None
        if answer.status_code in (400, 401, 403):
            raise InvalidCredentials("The provider refused this login.")
        try:
            found = answer.json() if answer.is_success and len(answer.content) <= ANSWER_MAX else None
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Unavailable("The provider cannot be understood.", retry_after=RETRY_AFTER)
        return found
