"""The OpenAPI description of the API, generated from the table of routes and the models that the code runs on."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct
from pydantic import BaseModel

from chat_gateway.http.api import examples, forms
from chat_gateway.http.api.headers import WAIT_MAX
from chat_gateway.http.api.paths import USER
from chat_gateway.http.api.routes import ROUTES, Route
from chat_gateway.protocol.parsing import payload_model
from shared.contracts.schemas import Schema, components
from shared.errors import (
    BackchatError,
    Conflict,
    Forbidden,
    Internal,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    TokenExpired,
    TokenInvalid,
    Unavailable,
    UnsupportedMediaType,
)
from shared.http.problems import PROBLEM_JSON

REF = "#/components/schemas/{name}"
SECURITY: list[dict[str, list[str]]] = [{"HTTPBearer": []}]
VARIABLE = re.compile(r"\{(\w+)\}")
COMMON = (InvalidRequest, TokenInvalid, TokenExpired, Forbidden, RateLimited, Internal, Unavailable)
STREAMS = {
    "/v1/sessions/{session_id}/events": "Follow a session from a number on",
    "/v1/events": "Follow what concerns you outside of the sessions that you follow",
}
PROBLEM: Schema = {
    "type": "object",
    "description": "An error as a problem document (RFC 9457).",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Stable code"},
        "rejected": {"type": "boolean", "description": "The message was accepted before and could not be stored"},
    },
    "required": ["type", "title", "status", "detail", "code"],
}


def describe() -> dict[str, Any]:
    """Return `paths` and `components` of the API."""
    models = {type(answer) for answer in (*examples.ANSWERS.values(), examples.ANSWERED)}
    references, schemas = components(models, REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, references)
    for path, summary in STREAMS.items():
        paths[path] = {"get": _stream(path, summary)}
    bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    return {
        "paths": paths,
        "components": {"schemas": {**schemas, "ApiProblem": PROBLEM}, "securitySchemes": {"HTTPBearer": bearer}},
    }


def _stream(path: str, summary: str) -> dict[str, Any]:
    in_session = VARIABLE.findall(path)
    cursor = {"name": "after_seq", "in": "query", "required": False, "schema": {"type": "integer", "minimum": 0}}
    resume = _header("Last-Event-ID", "The number of the last event; goes before `after_seq`", {"type": "string"}, "17")
    problem = {PROBLEM_JSON: {"schema": {"$ref": REF.format(name="ApiProblem")}}}
    statuses = ("401", "403", "404", "409", "422", "429", "503") if in_session else ("401", "403", "429", "503")
    return {
        "operationId": "session_events" if in_session else "user_events",
        "summary": summary,
        "description": f"{summary}. Server-Sent Events: `event` is the name of a server event of Socket.IO, `data` its "
        "payload, `id` its number.",
        "security": SECURITY,
        "tags": ["streams"],
        "parameters": [_variable("session_id", {"type": "string", "format": "uuid"}), cursor, resume]
        if in_session
        else [],
        "responses": {
            "200": {"description": "The stream", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
            **{status: {"description": "Refused before the stream begins", "content": problem} for status in statuses},
        },
    }


def _operation(route: Route, references: Any) -> dict[str, Any]:
    form = _form(route)
    operation: dict[str, Any] = {
        "operationId": route.event,
        "summary": route.summary,
        "description": f"{route.summary}. As the client event `{route.event}` of Socket.IO.",
        "security": SECURITY,
        "tags": ["chat"],
        "parameters": [*_variables(route), *([] if route.has_body else _parameters(form)), *_headers(route)],
        "responses": {**_answers(route, references), **_problems(route)},
    }
    if route.has_body:
        content = {"schema": form, "example": examples.REQUESTS[route.event]}
        operation["requestBody"] = {
            "required": bool(form.get("required")),
            "content": {forms.JSON_TYPE.decode(): content},
        }
    return operation


def _form(route: Route) -> Schema:
    """Return the schema of the fields that are not in the path."""
    model: type[BaseModel] = payload_model(route.event)
    schema = model.model_json_schema()
    in_path = set(VARIABLE.findall(route.path))
    schema["properties"] = {n: field for n, field in schema.get("properties", {}).items() if n not in in_path}
    schema["required"] = [name for name in schema.get("required", ()) if name not in in_path]
    return {key: value for key, value in schema.items() if value or key == "properties"}


def _variables(route: Route) -> list[dict[str, Any]]:
    properties = payload_model(route.event).model_json_schema().get("properties", {})
    return [_variable(name, dict(properties[name])) for name in VARIABLE.findall(route.path)]


def _variable(name: str, schema: Schema) -> dict[str, Any]:
    description = schema.pop("description", "")
    if name == USER:
        schema, description = {"type": "string"}, f"{description}, or `@me`: you"
    example = examples.PATH[name]
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": schema,
        "example": example,
    }


def _parameters(form: Schema) -> list[dict[str, Any]]:
    """Return the query parameters; an empty one is absent, and all other values must fit."""
    described = []
    for name, field in form["properties"].items():
        schema = {key: value for key, value in field.items() if key not in ("description", "title", "default")}
        schema = next((kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"), schema)
        described.append(
            {
                "name": name,
                "in": "query",
                "required": name in form.get("required", ()),
                "description": field.get("description", ""),
                "schema": schema,
                **({"example": examples.PARAMETERS[name]} if name in examples.PARAMETERS else {}),
            }
        )
    return described


def _headers(route: Route) -> list[dict[str, Any]]:
    found = []
    if route.key is not None:
        pattern = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[\\x20-\\x7e]+$"}
        text = f"Recognises a repetition; the same as `{route.key}` of Socket.IO. The first payload wins"
        found.append(_header("Idempotency-Key", text, pattern, "order-1815-1"))
    if route.conditional:
        text = "Change only if the session's `ETag` is this one; else 412"
        found.append(_header("If-Match", text, {"type": "string"}, '"3"'))
    if route.event == "send_message":
        text = f"`wait=N` (RFC 7240): wait up to N seconds, at most {WAIT_MAX}, until the message is answered"
        found.append(_header("Prefer", text, {"type": "string"}, "wait=30"))
    return found


def _header(name: str, description: str, schema: Schema, example: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": schema} | {
        "example": example
    }


def _answers(route: Route, references: Any) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for status in route.statuses:
        if status == 204:
            answers["204"] = {"description": "Done; also where nothing had to change"}
            continue
        waited = route.event == "send_message" and status == 200
        example = examples.ANSWERED if waited else examples.ANSWERS[route.event]
        content = {"application/json": {"schema": references[type(example)], "example": _json(example)}}
        answers[str(status)] = {"description": _meaning(route, status), "content": content}
    return answers


def _meaning(route: Route, status: int) -> str:
    meanings = {
        ("send_message", 202): "Accepted: it will be stored and answered, or `message_rejected` says why not",
        ("send_message", 200): "Answered: all turns that answer it have ended (`Preference-Applied: wait=N`)",
        ("start_chat", 200): "The session that this key has started before",
    }
    return meanings.get((route.event, status), "Done")


def _json(example: Struct) -> Any:
    return example.to_dict()  # type: ignore[attr-defined]


def _problems(route: Route) -> dict[str, Any]:
    errors: list[tuple[int, type[BackchatError]]] = [(error.status, error) for error in COMMON]
    if "{" in route.path or route.event in ("search_messages", "start_chat", "accept_invite"):
        errors.append((404, NotFound))
    if route.event != "list_chatbots":
        errors.append((409, Conflict))
    if route.conditional:
        errors.append((412, Conflict))
    errors.append((413, PayloadTooLarge))
    errors.append((414, PayloadTooLarge))
    if route.has_body:
        errors.append((415, UnsupportedMediaType))
    content = {PROBLEM_JSON: {"schema": {"$ref": REF.format(name="ApiProblem")}}}
    found: dict[str, Any] = {}
    for status, error in sorted(errors, key=lambda each: each[0]):
        known = found.get(str(status))
        codes = f"{known['description']}, `{error.code}`" if known else f"`{error.code}`"
        found[str(status)] = {"description": codes, "content": content}
    return found
