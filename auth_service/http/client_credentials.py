"""Reads the form of `POST /token` (RFC 6749, sections 2.3.1 and 4.4), and writes its errors (section 5.2)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import parse_qsl, unquote_plus

from fastapi import Request
from starlette.responses import JSONResponse, Response

from auth_service.http.json_bodies import BodyTimeout, read_body

FORM_TYPE = "application/x-www-form-urlencoded"
FIELDS_MAX = 20
GRANT_TYPE = "client_credentials"
UNCACHED = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749, section 5.1


class TokenRefused(Exception):
    """The request is refused with an error of RFC 6749, section 5.2. The message never contains a value."""

    error: ClassVar[str] = "invalid_request"
    status: ClassVar[int] = 400
    headers: ClassVar[dict[str, str]] = {}

    def response(self) -> Response:
        """Build the response."""
        body = {"error": self.error, "error_description": str(self)}
        return JSONResponse(body, self.status, headers=UNCACHED | self.headers)


class UnsupportedGrantType(TokenRefused):
    """The grant type is not `client_credentials`."""

    error = "unsupported_grant_type"


class InvalidScope(TokenRefused):
    """A scope is unknown, malformed or not granted."""

    error = "invalid_scope"


class InvalidClient(TokenRefused):
    """The service is unknown, or the key is not one of its valid ones. The answer is the same for all causes."""

    error, status = "invalid_client", 401
    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": 'Basic realm="backchat", charset="UTF-8"'}

    def __init__(self) -> None:
        super().__init__("The client id or the client secret is wrong.")


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request for a token: the name and the key of a service as sent, and the scopes that it asks for."""

    name: str
    key: str
    scopes: tuple[str, ...]


async def read_token_request(request: Request) -> TokenRequest:
    """Read the form and the credentials, which are either in the header or in the form.

    Raises:
        TokenRefused: the request is malformed, or has no credentials.
        PayloadTooLarge: the body exceeds the limit.
    """
    form = _form(request.headers.get("content-type", ""), await _body(request))
    if "grant_type" not in form:
        raise TokenRefused("`grant_type` is missing.")
    if form["grant_type"] != GRANT_TYPE:
        raise UnsupportedGrantType(f"The only grant type is `{GRANT_TYPE}`.")
    name, key = _credentials(request.headers.getlist("authorization"), form)
    return TokenRequest(name, key, tuple(form.get("scope", "").split(" ")) if form.get("scope") else ())


async def _body(request: Request) -> bytes:
    try:
        return await read_body(request)
    except BodyTimeout:
        raise TokenRefused("The body did not arrive in time.") from None


def _form(content_type: str, body: bytes) -> dict[str, str]:
    """Return the parameters that have a value; one without a value is treated as omitted (RFC 6749, section 3.2)."""
    if content_type.partition(";")[0].strip().lower() != FORM_TYPE:
        raise TokenRefused(f"The content type must be {FORM_TYPE}.")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
    except ValueError:  # UnicodeDecodeError is one
        raise TokenRefused("The body must be a form in UTF-8.") from None
    if len({name for name, _ in pairs}) != len(pairs):
        raise TokenRefused("A parameter is given twice.")
    return {name: value for name, value in pairs if value}


def _credentials(authorizations: list[str], form: dict[str, str]) -> tuple[str, str]:
    if not authorizations:
        if "client_id" not in form or "client_secret" not in form:
            raise InvalidClient
        return form["client_id"], form["client_secret"]
    if len(authorizations) > 1 or "client_secret" in form:
        raise TokenRefused("Credentials are given twice.")
    name, key = _basic(authorizations[0])
    if form.get("client_id", name) != name:
        raise TokenRefused("Two different client ids are given.")
    return name, key


def _basic(authorization: str) -> tuple[str, str]:
    """Return the form-decoded name and key of HTTP Basic."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise InvalidClient
    try:
        name, _, key = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        return unquote_plus(name, errors="strict"), unquote_plus(key, errors="strict")
    except ValueError:
        raise InvalidClient from None
