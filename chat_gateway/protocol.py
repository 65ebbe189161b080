"""What clients may say (contract §3): payload models, and the acks. Pure.

Strict about types (a boolean is no integer, an id is a UUID), lenient as the contract says: `null` is
absent and unknown fields are ignored.
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
)

from shared.contracts.views import (
    CLIENT_ID_MAX,
    PAGE_DEFAULT,
    PAGE_MAX,
    TITLE_MAX,
    USER_CONTENT_MAX,
    ReplyPolicy,
)
from shared.errors import BackchatError, InvalidRequest, PayloadTooLarge

PROTOCOL = 1
SEQ_MAX = 2**63 - 1
ACK_CODES = frozenset(
    {
        "invalid_request",
        "not_found",
        "forbidden",
        "rate_limited",
        "payload_too_large",
        "conflict",
        "unavailable",
        "internal",
    }
)

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


def _uuid(value: Any) -> UUID:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise ValueError("not a UUID")
    return UUID(value)


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("NUL is not allowed")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("a lone surrogate is not allowed") from None
    return text


Id = Annotated[UUID, BeforeValidator(_uuid)]
ClientId = Annotated[StrictStr, Field(min_length=1, max_length=CLIENT_ID_MAX, pattern=r"^[\x20-\x7e]+$")]
Text = Annotated[StrictStr, AfterValidator(_storable)]
Seq = Annotated[StrictInt, Field(ge=0, le=SEQ_MAX)]
Limit = Annotated[StrictInt, Field(ge=1, le=PAGE_MAX)]


class ClientPayload(BaseModel):
    """The one object of an event."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class StartChat(ClientPayload):
    """`start_chat`: an empty list of chatbots is none, that is the default one."""

    title: Annotated[Text, Field(min_length=1, max_length=TITLE_MAX)] | None = None
    chatbot_ids: Annotated[list[Annotated[Text, Field(min_length=1, max_length=64)]], Field(max_length=100)] | None = (
        None
    )
    reply_policy: ReplyPolicy = "mentioned"
    client_request_id: ClientId | None = None


class SendMessage(ClientPayload):
    """`send_message`: the size of `content` is checked by `parse`, because it has a code of its own."""

    session_id: Id
    content: Text
    client_message_id: ClientId | None = None
    reply_to: Id | None = None


class JoinChat(ClientPayload):
    """`join_chat`."""

    session_id: Id
    after_seq: Seq | None = None
    limit: Limit = PAGE_DEFAULT


class LeaveChat(ClientPayload):
    """`leave_chat`."""

    session_id: Id


class GetMessages(ClientPayload):
    """`get_messages`: `before_seq` or `after_seq`, not both."""

    session_id: Id
    before_seq: Seq | None = None
    after_seq: Seq | None = None
    limit: Limit = PAGE_DEFAULT


class ListChats(ClientPayload):
    """`list_chats`."""

    cursor: Annotated[StrictStr, Field(min_length=1, max_length=1_000, pattern=r"^[\x20-\x7e]+$")] | None = None
    limit: Limit = PAGE_DEFAULT


class ListChatbots(ClientPayload):
    """`list_chatbots`."""


CLIENT_EVENTS: dict[str, type[ClientPayload]] = {
    "start_chat": StartChat,
    "send_message": SendMessage,
    "join_chat": JoinChat,
    "leave_chat": LeaveChat,
    "get_messages": GetMessages,
    "list_chats": ListChats,
    "list_chatbots": ListChatbots,
}


def parse(name: Any, arguments: list[Any]) -> ClientPayload:
    """The payload of a client event.

    Raises:
        InvalidRequest: no such event, not exactly one object, or a field that does not fit.
        PayloadTooLarge: `content` is too long.
    """
    model = CLIENT_EVENTS.get(name) if isinstance(name, str) else None
    if model is None:
        raise InvalidRequest("There is no such event.")
    if len(arguments) != 1 or not isinstance(arguments[0], dict):
        raise InvalidRequest("An event takes one JSON object.")
    given = {field: value for field, value in arguments[0].items() if value is not None}
    try:
        payload = model.model_validate(given)
    except ValidationError as error:
        raise InvalidRequest(_explain(error)) from None
    _check(payload)
    return payload


def _check(payload: ClientPayload) -> None:
    if isinstance(payload, SendMessage):
        length = len(payload.content.strip())
        if length == 0:
            raise InvalidRequest("content: must not be empty")
        if length > USER_CONTENT_MAX:
            raise PayloadTooLarge(f"content: at most {USER_CONTENT_MAX} characters")
    elif isinstance(payload, GetMessages) and payload.before_seq is not None and payload.after_seq is not None:
        raise InvalidRequest("before_seq and after_seq exclude each other")


def _explain(error: ValidationError) -> str:
    """Field and reason; never the value, which may be somebody's words."""
    first = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"][:2])
    return f"{field}: {first['msg']}" if field else str(first["msg"])


def accepted(fields: dict[str, Any]) -> dict[str, Any]:
    """The ack of an event that was done."""
    return {"ok": True, **fields}


def refused(error: BackchatError) -> dict[str, Any]:
    """The ack of an event that was not done, or of which that is not known."""
    code = error.code if error.code in ACK_CODES else "internal"
    body: dict[str, Any] = {"code": code, "message": error.detail}
    if error.retry_after is not None:
        body["retry_after"] = round(error.retry_after, 3)
    elif code in ("unavailable", "rate_limited"):
        body["retry_after"] = 1.0
    return {"ok": False, "error": body}
