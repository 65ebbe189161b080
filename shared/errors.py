"""Errors with stable codes. Only an edge turns them into a wire format: an HTTP response or a Socket.IO ack.

BackchatError
├── InvalidRequest · WeakPasscode · PayloadTooLarge · UnsupportedMediaType · MethodNotAllowed
├── InvalidCredentials · TokenExpired · TokenInvalid · Unauthenticated · Forbidden
├── NotFound · Conflict · UserExists
├── RateLimited
├── Unavailable                 not done, or the outcome is unknown: repeat with the same ids
└── Internal
"""

from __future__ import annotations

from typing import ClassVar


class BackchatError(Exception):
    """An unexpected error occurred on the server."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500  # HTTP status (RFC 9110)
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str | None = None, *, retry_after: float | None = None) -> None:
        self.detail = detail or (type(self).__doc__ or self.title).strip().splitlines()[0]
        self.retry_after = retry_after  # seconds
        super().__init__(self.detail)


class Internal(BackchatError):
    """An unexpected error occurred on the server."""


class InvalidRequest(BackchatError):
    """The request does not match the documented schema."""

    code, status, title = "invalid_request", 422, "Invalid request"


class WeakPasscode(BackchatError):
    """This passcode is one of the most common ones; choose another one."""

    code, status, title = "weak_passcode", 422, "Weak passcode"


class PayloadTooLarge(BackchatError):
    """The payload is larger than allowed."""

    code, status, title = "payload_too_large", 413, "Payload too large"


class UnsupportedMediaType(BackchatError):
    """Only application/json is accepted."""

    code, status, title = "unsupported_media_type", 415, "Unsupported media type"


class MethodNotAllowed(BackchatError):
    """This method is not allowed here."""

    code, status, title = "method_not_allowed", 405, "Method not allowed"


class InvalidCredentials(BackchatError):
    """The id or the passcode is wrong."""

    code, status, title = "invalid_credentials", 401, "Invalid credentials"


class TokenExpired(BackchatError):
    """The access token has expired."""

    code, status, title = "token_expired", 401, "Token expired"


class TokenInvalid(BackchatError):
    """The access token is not valid."""

    code, status, title = "token_invalid", 401, "Token invalid"


class Unauthenticated(BackchatError):
    """A valid access token is required."""

    code, status, title = "unauthenticated", 401, "Unauthenticated"


class Forbidden(BackchatError):
    """You are not allowed to do this."""

    code, status, title = "forbidden", 403, "Forbidden"


class NotFound(BackchatError):
    """This does not exist, or you have no access to it."""

    code, status, title = "not_found", 404, "Not found"


class Conflict(BackchatError):
    """The request conflicts with the current state."""

    code, status, title = "conflict", 409, "Conflict"


class UserExists(BackchatError):
    """This id is taken."""

    code, status, title = "user_exists", 409, "User exists"


class RateLimited(BackchatError):
    """Too many requests; try again later."""

    code, status, title = "rate_limited", 429, "Rate limited"


class Unavailable(BackchatError):
    """Temporarily unavailable; repeat the request with the same ids."""

    code, status, title = "unavailable", 503, "Unavailable"


CATALOGUE: dict[str, type[BackchatError]] = {
    error.code: error
    for error in (
        Internal,
        InvalidRequest,
        WeakPasscode,
        PayloadTooLarge,
        UnsupportedMediaType,
        MethodNotAllowed,
        InvalidCredentials,
        TokenExpired,
        TokenInvalid,
        Unauthenticated,
        Forbidden,
        NotFound,
        Conflict,
        UserExists,
        RateLimited,
        Unavailable,
    )
}


def from_code(code: str, detail: str | None = None, retry_after: float | None = None) -> BackchatError:
    """Return the error of a code; `Internal` for an unknown code, which a later release may send."""
    return CATALOGUE.get(code, Internal)(detail, retry_after=retry_after)
