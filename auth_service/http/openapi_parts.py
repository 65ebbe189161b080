"""Parts of the OpenAPI document that FastAPI cannot derive: bodies, problems, links."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from auth_service.http import refresh_cookie
from auth_service.http.json_bodies import JSON_TYPE
from auth_service.http.schemas import Problem
from shared.errors import (
    BackchatError,
    Forbidden,
    InvalidRequest,
    PayloadTooLarge,
    TokenExpired,
    TokenInvalid,
    Unavailable,
    UnsupportedMediaType,
)
from shared.http.problems import PROBLEM_JSON

BODY_PROBLEMS = (InvalidRequest, PayloadTooLarge, UnsupportedMediaType)
TOKEN_PROBLEMS = (TokenInvalid, TokenExpired, Unavailable)
BEARER_PROBLEMS = (*TOKEN_PROBLEMS, Forbidden)  # of routes that services may not use


def body(form: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """Describe a JSON body of a model; routes read it with `json_bodies`."""
    return {"requestBody": {"required": required, "content": {JSON_TYPE: {"schema": form.model_json_schema()}}}}


def link(status: int, operation: str, body: dict[str, str]) -> dict[int | str, dict[str, Any]]:
    """Describe a follow-up operation whose body is built from this request or response."""
    return {status: {"links": {operation: {"operationId": operation, "requestBody": body}}}}


def with_cookie_header(operation: dict[str, Any]) -> dict[str, Any]:
    """Add the header by which pages ask for the cookie to an operation."""
    header = {
        "name": refresh_cookie.HEADER,
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": f"`{refresh_cookie.COOKIE_FORM}`: return the refresh token in an HttpOnly cookie instead",
    }
    return {**operation, "parameters": [header]}


TOO_LONG: dict[int | str, dict[str, Any]] = {414: {"description": "`payload_too_large`: the URL is too long"}}


def problems(*errors: type[BackchatError]) -> dict[int | str, dict[str, Any]]:
    """Describe the problems of a route, by status."""
    schema = Problem.model_json_schema()
    found: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        known = found.get(error.status)
        codes = f"{known['description']}, `{error.code}`" if known else f"`{error.code}`"
        found[error.status] = {"description": codes, "content": {PROBLEM_JSON: {"schema": schema}}}
    return found
