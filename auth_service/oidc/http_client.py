"""HTTP requests to the OpenID provider, limited in time and size."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import httpx2
import structlog

from auth_service.oidc.provider import RETRY_AFTER, UnexpectedResponse
from shared.errors import InvalidCredentials, Unavailable

logger = structlog.get_logger(__name__)

TIMEOUT = 4.0  # seconds for one request
RESPONSE_MAX = 256 * 1024  # bytes
ERROR_CODE = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # as in `invalid_client` (RFC 6749, section 5.2)


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
            UnexpectedResponse: the response is not a JSON object.
            Unavailable: the provider did not respond, or has failed.
        """
        endpoint = urlsplit(url).path
        try:
            answer = await self._client.request(method, url, timeout=TIMEOUT, **more)
        except httpx2.HTTPError as error:
            logger.warning("provider_request.failed", endpoint=endpoint, reason=type(error).__name__)
            raise Unavailable("The provider does not respond.", retry_after=RETRY_AFTER) from None
        status, found = answer.status_code, _json_object(answer)
        if answer.is_success and found is not None:
            return found
        logger.warning("provider_request.refused", endpoint=endpoint, status=status, error=_error_code(found, answer))
        if status in (400, 401, 403):
            raise InvalidCredentials("The provider refused this login.")
        if answer.is_success:
            raise UnexpectedResponse("The provider sent an unexpected response.", retry_after=RETRY_AFTER)
        raise Unavailable("The provider sent an unexpected response.", retry_after=RETRY_AFTER)


def _json_object(answer: httpx2.Response) -> dict[str, Any] | None:
    try:
        found = answer.json() if len(answer.content) <= RESPONSE_MAX else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _error_code(found: dict[str, Any] | None, answer: httpx2.Response) -> str | None:
    """Return the code of an OAuth error, never its description, which may repeat a secret."""
    code = (found or {}).get("error")
    if code is None:  # a resource has it in a header (RFC 6750, section 3)
        code = answer.headers.get("WWW-Authenticate", "").partition('error="')[2].partition('"')[0] or None
    return code if isinstance(code, str) and ERROR_CODE.fullmatch(code) else None
