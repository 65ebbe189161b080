"""Reads and validates the JSON body of a request, within a time limit."""

from __future__ import annotations

import asyncio
import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from shared.errors import InvalidRequest, UnsupportedMediaType

JSON_TYPE = "application/json"
BODY_TIMEOUT = 10.0  # seconds that a client may take to send a body

F = TypeVar("F", bound=BaseModel)


class BodyTimeout(InvalidRequest):
    """The body did not arrive in time."""


async def read_json(request: Request, form: type[F], *, optional: bool = False) -> F:
    """Return the body of a request as a model. A missing body that is `optional` gives the model's defaults.

    Raises:
        UnsupportedMediaType: the content type is not JSON.
        InvalidRequest: the body is not JSON or not valid. The message names the field and the reason, never the value.
        BodyTimeout: the body did not arrive in time.
    """
    if optional and "content-type" not in request.headers and not await read_body(request):
        return form()
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared != JSON_TYPE:
        raise UnsupportedMediaType
    fields = {name: value for name, value in _json_object(await read_body(request)).items() if value is not None}
    try:
        return form.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest("; ".join(f"{_field(e['loc'])}: {_reason(e['msg'])}" for e in error.errors())) from None


async def read_body(request: Request) -> bytes:
    """Return the body of a request.

    Raises:
        BodyTimeout: the body did not arrive in time.
        PayloadTooLarge: the body exceeds the limit.
    """
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            return await request.body()
    except (TimeoutError, ClientDisconnect):
        raise BodyTimeout from None


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body.decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise InvalidRequest("The body must be JSON (RFC 8259) in UTF-8, without duplicate names.") from None
    if not isinstance(found, dict):
        raise InvalidRequest("The body must be a JSON object.")
    return found


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse duplicate names: parsers, and thus proxies, disagree on which value counts."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate name")
    return found


def _field(place: tuple[int | str, ...]) -> str:
    return ".".join(map(str, place))


def _reason(message: str) -> str:
    return message.removeprefix("Value error, ")
