"""The redirect from the provider, and those to the page after a login through the provider has failed."""

from __future__ import annotations

from enum import StrEnum

from fastapi import Request
from pydantic import BaseModel
from starlette.responses import RedirectResponse, Response

from shared.errors import NotFound

HOME = "/chat/"
FAILED = "#login-error="  # followed by a `Failure`


class Failure(StrEnum):
    """Why a login through the provider has failed, for the page."""

    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


# Errors of the redirect from the provider (RFC 6749, section 4.1.2.1); all others are refusals.
FAILURES = {
    "access_denied": Failure.CANCELLED,
    "server_error": Failure.UNAVAILABLE,
    "temporarily_unavailable": Failure.UNAVAILABLE,
}


class Returned(BaseModel):
    """The parameters of the redirect from the provider."""

    code: str | None
    state: str | None
    issuer: str | None
    error: str | None

    @property
    def failure(self) -> Failure | None:
        """The failure that the provider reports."""
        return FAILURES.get(self.error, Failure.REFUSED) if self.error else None


def failed(target: str, failure: Failure) -> Response:
    """Redirect the browser to the page, which shows the failure in words."""
    return RedirectResponse(target + FAILED + failure, 303)


def not_configured(request: Request) -> Response:
    """Redirect a browser to the page.

    Raises:
        NotFound: the client is not a browser.
    """
    if "text/html" in request.headers.get("accept", ""):
        return failed(HOME, Failure.UNAVAILABLE)
    raise NotFound("No login provider is configured.")
