"""What the interface description says of bodies and problems, which FastAPI does not see."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from auth_service.bodies import JSON_TYPE
from auth_service.forms import Problem
from shared.errors import BackchatError, InvalidRequest, PayloadTooLarge, TokenExpired, TokenInvalid, Unavailable
from shared.errors import UnsupportedMediaType as NotJson
from shared.runtime.http import PROBLEM_JSON

BODY_PROBLEMS = (InvalidRequest, PayloadTooLarge, NotJson)
BEARER_PROBLEMS = (TokenInvalid, TokenExpired, Unavailable)


def body(form: type[BaseModel]) -> dict[str, Any]:
    """A JSON body of that form; we read it ourselves."""
    return {"requestBody": {"required": True, "content": {JSON_TYPE: {"schema": form.model_json_schema()}}}}


def problems(*errors: type[BackchatError]) -> dict[int | str, dict[str, Any]]:
    """The problems of a route, by status."""
    schema = Problem.model_json_schema()
    found: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        known = found.get(error.status)
        codes = f"{known['description']}, `{error.code}`" if known else f"`{error.code}`"
        found[error.status] = {"description": codes, "content": {PROBLEM_JSON: {"schema": schema}}}
    return found
