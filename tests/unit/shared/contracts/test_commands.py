"""Commands that services build in more than one place."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import orjson
import pytest

from shared.contracts.commands import FinishReply
from shared.contracts.envelope import Received, read_body
from shared.contracts.views import ErrorView

ERROR = ErrorView(code="internal", message="It failed.")


def _received(data: dict[str, Any]) -> Received:
    envelope = {
        "id": "1",
        "source": "tests",
        "type": FinishReply.TYPE,
        "time": "2026-11-23T09:30:00.123Z",
        "data": data,
    }
    [received] = read_body(orjson.dumps([envelope]))
    return received


def test_empty_reply_is_attempt_zero_without_text() -> None:
    session_id, message_id = uuid4(), uuid4()
    reply = FinishReply.empty(session_id, message_id, "echo", status="stopped")
    assert (reply.session_id, reply.message_id, reply.chatbot_id) == (session_id, message_id, "echo")
    assert (reply.attempt, reply.content, reply.status, reply.error) == (0, "", "stopped", None)


def test_failed_reply_takes_its_ids_from_an_unreadable_payload() -> None:
    session_id, message_id = uuid4(), uuid4()
    data = {"session_id": str(session_id), "message_id": str(message_id), "chatbot_id": "echo", "content": None}
    reply = FinishReply.failed(_received(data), ERROR)
    assert reply is not None
    assert (reply.session_id, reply.message_id, reply.status, reply.error) == (session_id, message_id, "failed", ERROR)


@pytest.mark.parametrize("missing", ["session_id", "message_id", "chatbot_id"])
@pytest.mark.parametrize("value", [None, 5, "no uuid \u0000", ["x"]])
def test_failed_reply_is_none_without_valid_ids(missing: str, value: object) -> None:
    data = {"session_id": str(uuid4()), "message_id": str(uuid4()), "chatbot_id": "echo"}
    if value is None:
        del data[missing]
    else:
        data[missing] = value  # type: ignore[assignment]
    if missing == "chatbot_id" and isinstance(value, str):
        return  # any text is an id
    assert FinishReply.failed(_received(data), ERROR) is None
