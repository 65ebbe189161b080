"""Forms: the fields of an event, from the path, the parameters, the body and the idempotency key of a request."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
from starlette.types import Receive

from chat_gateway.http.api import headers as request_headers
from chat_gateway.http.api.headers import Headers
from shared.errors import InvalidRequest, PayloadTooLarge, UnsupportedMediaType

BODY_MAX = 256 * 1024  # bytes
BODY_WITHIN = 10.0  # seconds
JSON_TYPE = b"application/json"
NUMBERS = frozenset({"limit", "before_seq", "after_seq"})  # parameters that are numbers
_DIGITS = re.compile(r"[0-9]{1,40}")


class Disconnected(Exception):
    """The client has disconnected before its request was complete."""


def parameters(query: bytes, known: Collection[str]) -> dict[str, Any]:
    """Return the known parameters of a query string; empty ones are absent.

    Raises:
        InvalidRequest: a parameter is given twice, is not UTF-8, or must be a number and is not.
    """
    found: dict[str, Any] = {}
    for pair in query.split(b"&") if query else ():
        raw_name, _, raw_value = pair.replace(b"+", b" ").partition(b"=")
        name = unquote_to_bytes(raw_name).decode("latin-1")
        if name not in known:
            continue
        if name in found:
            raise InvalidRequest(f"{name}: given twice")
        found[name] = _value(name, unquote_to_bytes(raw_value))
    return {name: value for name, value in found.items() if value != ""}


def _value(name: str, raw: bytes) -> str | int:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{name}: not UTF-8") from None
    if name not in NUMBERS or not text:
        return text
    if _DIGITS.fullmatch(text) is None:
        raise InvalidRequest(f"{name}: not a number of decimal digits")
    return int(text)


def check_media_type(headers: Headers) -> bool:
    """Return whether a request has a body, after a check of its type.

    Raises:
        UnsupportedMediaType: the body is not declared as JSON.
    """
    declared = request_headers.values(headers, b"content-type")
    if not declared:
        length = request_headers.values(headers, b"content-length")
        if not request_headers.values(headers, b"transfer-encoding") and length in ([], [b"0"]):
            return False
    elif len(declared) == 1 and declared[0].partition(b";")[0].strip().lower() == JSON_TYPE:
        return True
    raise UnsupportedMediaType


def check_size(headers: Headers) -> None:
    """Check the declared size of a body.

    Raises:
        PayloadTooLarge: it is more than `BODY_MAX`.
    """
    for length in request_headers.values(headers, b"content-length"):
        if len(length) > 12 or int(length) > BODY_MAX:
            raise PayloadTooLarge


async def read_body(receive: Receive) -> bytes:
    """Receive a body.

    Raises:
        PayloadTooLarge: it has more than `BODY_MAX` bytes.
        InvalidRequest: it has not arrived within `BODY_WITHIN`.
        Disconnected: the client has disconnected.
    """
    try:
        async with asyncio.timeout(BODY_WITHIN):
            return await _receive_all(receive)
    except TimeoutError:
        raise InvalidRequest("The body did not arrive in time.") from None


async def _receive_all(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        body += bytes(message.get("body", b""))
        if len(body) > BODY_MAX:
            raise PayloadTooLarge
        if not message.get("more_body", False):
            return body


def json_object(body: bytes) -> dict[str, Any]:
    """Parse a body.

    Raises:
        InvalidRequest: it is not a JSON object.
    """
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise InvalidRequest("The body must be JSON (RFC 8259) in UTF-8.") from None
    if not isinstance(found, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return found


def with_key(fields: dict[str, Any], name: str, headers: Headers) -> None:
    """Set the client id `name` to the idempotency key of a request, if it has one.

    Raises:
        InvalidRequest: the key is malformed, or the body has another id.
    """
    key = request_headers.idempotency_key(headers)
    if key is None:
        return
    if fields.get(name) not in (None, key):
        raise InvalidRequest(f"{name}: not the Idempotency-Key")
    fields[name] = key
