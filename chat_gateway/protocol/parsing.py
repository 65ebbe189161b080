"""Parser of client events (contract.md §3.2). Pure.

Types are strict: a boolean is not an integer, an id is a UUID. As the contract says, `null` counts as absent and
unknown fields are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from chat_gateway.protocol.payloads import (
    CLIENT_EVENTS,
    REQUESTS,
    ClientPayload,
    EditMessage,
    GetMessages,
    SendMessage,
)
from shared.contracts.views import USER_CONTENT_MAX
from shared.errors import InvalidRequest, PayloadTooLarge


def parse(name: Any, arguments: list[Any]) -> ClientPayload:
    """Return the payload of a client event.

    Raises:
        InvalidRequest: unknown event, not exactly one object, or an invalid field.
        PayloadTooLarge: `content` is too long.
    """
    model = CLIENT_EVENTS.get(name) if isinstance(name, str) else None
    if model is None:
        raise InvalidRequest("Unknown event.")
    if len(arguments) != 1 or not isinstance(arguments[0], dict):
        raise InvalidRequest("An event takes one JSON object.")
    return _validated(model, arguments[0])


def parse_request(name: str, fields: Mapping[str, Any]) -> ClientPayload:
    """Return the payload of a request of the HTTP API with the fields of an event; raises as `parse`."""
    return _validated(payload_model(name), fields)


def payload_model(name: str) -> type[ClientPayload]:
    """Return the payload model of an event or a request of the HTTP API."""
    return CLIENT_EVENTS[name] if name in CLIENT_EVENTS else REQUESTS[name]


def _validated(model: type[ClientPayload], fields: Mapping[str, Any]) -> ClientPayload:
    given = {field: value for field, value in fields.items() if value is not None}
    try:
        payload = model.model_validate(given)
    except ValidationError as error:
        raise InvalidRequest(_explain(error)) from None
    _check(payload)
    return payload


def _check(payload: ClientPayload) -> None:
    if isinstance(payload, SendMessage | EditMessage):
        length = len(payload.content.strip())
        if length == 0:
            raise InvalidRequest("content: must not be empty")
        if length > USER_CONTENT_MAX:
            raise PayloadTooLarge(f"content: at most {USER_CONTENT_MAX} characters")
    elif isinstance(payload, GetMessages) and payload.before_seq is not None and payload.after_seq is not None:
        raise InvalidRequest("before_seq and after_seq exclude each other")


def _explain(error: ValidationError) -> str:
    """Return field and reason; never the value, which may be private."""
    first = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"][:2])
    return f"{field}: {first['msg']}" if field else str(first["msg"])
