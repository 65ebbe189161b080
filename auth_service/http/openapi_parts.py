"""What the interface description says of bodies and problems, which FastAPI does not see."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from auth_service.http import refresh_cookie
from auth_service.http.json_bodies import JSON_TYPE
from auth_service.http.schemas import Problem
from shared.errors import (
    BackchatError,
    InvalidRequest,
    PayloadTooLarge,
    TokenExpired,
    TokenInvalid,
    Unavailable,
    UnsupportedMediaType,
)
from shared.runtime.http import PROBLEM_JSON

BODY_PROBLEMS = (InvalidRequest, PayloadTooLarge, UnsupportedMediaType)
BEARER_PROBLEMS = (TokenInvalid, TokenExpired, Unavailable)


def body(form: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """A JSON body of that form; we read it ourselves."""
    return {"requestBody": {"required": required, "content": {JSON_TYPE: {"schema": form.model_json_schema()}}}}


def link(status: int, operation: str, body: dict[str, str]) -> dict[int | str, dict[str, Any]]:
    """What an answer is good for next: another operation, with a body of what was sent or came back."""
    return {status: {"links": {operation: {"operationId": operation, "requestBody": body}}}}


def for_pages(operation: dict[str, Any]) -> dict[str, Any]:
    """An operation that pages may ask to use the cookie."""
    header = {
        "name": refresh_cookie.HEADER,
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": f"`{refresh_cookie.ASKED}`: keep the refresh token in an HttpOnly cookie instead of the answer",
    }
    return {**operation, "parameters": [header]}


TOO_LONG: dict[int | str, dict[str, Any]] = {414: {"description": "`payload_too_large`: the address"}}


def problems(*errors: type[BackchatError]) -> dict[int | str, dict[str, Any]]:
    """The problems of a route, by status."""
    schema = Problem.model_json_schema()
    found: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        known = found.get(error.status)
        codes = f"{known['description']}, `{error.code}`" if known else f"`{error.code}`"
        found[error.status] = {"description": codes, "content": {PROBLEM_JSON: {"schema": schema}}}
    return found
