"""What clients may say, field by field (contract §3)."""

from __future__ import annotations

import contextlib
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_gateway import payloads, protocol
from chat_gateway.protocol import parse
from shared.errors import CATALOGUE, BackchatError, InvalidRequest, PayloadTooLarge, RateLimited, UserExists

SESSION = "6F1a7d0e-3c52-4d0b-9a55-0b7c1b7e4a10"


def refusal(name: Any, *arguments: Any) -> str:
    with pytest.raises(BackchatError) as caught:
        parse(name, list(arguments))
    return caught.value.code


@pytest.mark.parametrize("name", ["connect", "disconnect", "nothing", "", "__class__", 7, None, ["start_chat"], {}])
def test_unknown_and_reserved_events(name: Any) -> None:
    assert refusal(name, {}) == "invalid_request"


@pytest.mark.parametrize("arguments", [[], [None], [[]], ["x"], [1], [True], [{}, {}]])
def test_an_event_takes_one_object(arguments: list[Any]) -> None:
    assert refusal("list_chats", *arguments) == "invalid_request"


@pytest.mark.parametrize(
    "session_id",
    [
        None,
        "",
        "x",
        7,
        True,
        [],
        {},
        SESSION.replace("-", ""),
        "{" + SESSION + "}",
        "urn:uuid:" + SESSION,
        SESSION + "0",
    ],
)
def test_ids_are_uuids(session_id: Any) -> None:
    for event in ("send_message", "join_chat", "leave_chat", "get_messages"):
        assert refusal(event, {"session_id": session_id, "content": "x"}) == "invalid_request"


def test_null_is_absent_and_unknown_fields_are_ignored() -> None:
    asked = parse("join_chat", [{"session_id": SESSION, "after_seq": None, "limit": None, "else": {"deep": [1]}}])
    assert asked == payloads.JoinChat(session_id=SESSION)  # type: ignore[arg-type]
    assert asked.session_id == UUID(SESSION)
    assert asked.limit == 50


@pytest.mark.parametrize("limit", [0, 201, -1, "50", 50.0, True, [], 10**30])
def test_limits_are_whole_numbers_from_1_to_200(limit: Any) -> None:
    for event in ("join_chat", "get_messages", "list_chats"):
        assert refusal(event, {"session_id": SESSION, "limit": limit}) == "invalid_request"
        assert parse(event, [{"session_id": SESSION, "limit": 200}]).limit == 200


@pytest.mark.parametrize("seq", [-1, "1", 1.0, False, 2**63, 1e400])
def test_numbers_are_whole_and_storable(seq: Any) -> None:
    for field in ("after_seq", "before_seq"):
        assert refusal("get_messages", {"session_id": SESSION, field: seq}) == "invalid_request"


def test_before_and_after_exclude_each_other() -> None:
    assert refusal("get_messages", {"session_id": SESSION, "before_seq": 1, "after_seq": 1}) == "invalid_request"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("", "invalid_request"),
        (" \n\t\u2003", "invalid_request"),
        ("a\0b", "invalid_request"),
        ("\ud800", "invalid_request"),
        (7, "invalid_request"),
        (True, "invalid_request"),
        (None, "invalid_request"),
        (["x"], "invalid_request"),
        ("🙂" * 16_001, "payload_too_large"),
    ],
)
def test_content_that_is_refused(content: Any, code: str) -> None:
    assert refusal("send_message", {"session_id": SESSION, "content": content}) == code


@pytest.mark.parametrize("content", ["x", "🙂" * 16_000, "  x  ", " " * 1_000 + "x" * 16_000])
def test_content_is_kept_as_sent(content: str) -> None:
    assert parse("send_message", [{"session_id": SESSION, "content": content}]).content == content


@pytest.mark.parametrize("client_id", ["", "x" * 129, "ä", "a\n", "\x7f", 7, True, {}])
def test_client_ids_are_printable_ascii(client_id: Any) -> None:
    payload = {"session_id": SESSION, "content": "x", "client_message_id": client_id}
    assert refusal("send_message", payload) == "invalid_request"
    assert refusal("start_chat", {"client_request_id": client_id}) == "invalid_request"


def test_client_ids_may_be_long_and_have_spaces() -> None:
    parse("start_chat", [{"client_request_id": " ~" * 64}])


@pytest.mark.parametrize(
    "payload",
    [
        {"title": ""},
        {"title": "x" * 201},
        {"title": "\0"},
        {"title": 7},
        {"reply_policy": "loud"},
        {"reply_policy": True},
        {"chatbot_ids": "eliza"},
        {"chatbot_ids": {"eliza": 1}},
        {"chatbot_ids": [7]},
        {"chatbot_ids": [""]},
        {"chatbot_ids": [None]},
        {"chatbot_ids": ["x" * 65]},
        {"chatbot_ids": ["x"] * 101},
    ],
)
def test_start_chat_refuses(payload: dict[str, Any]) -> None:
    assert refusal("start_chat", payload) == "invalid_request"


@pytest.mark.parametrize("policy", ["mentioned", "all", "round_robin", "silent"])
def test_start_chat_takes_the_policies(policy: str) -> None:
    assert parse("start_chat", [{"reply_policy": policy, "title": "x" * 200, "chatbot_ids": []}]).reply_policy == policy


def test_a_refusal_never_repeats_what_was_sent() -> None:
    """Refusals go to logs and screens; the words of a message do not."""
    with pytest.raises(InvalidRequest) as caught:
        parse("send_message", [{"session_id": "my secret", "content": ["my secret"]}])
    assert "secret" not in caught.value.detail


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
)
FIELDS = st.sampled_from(
    ["session_id", "content", "title", "chatbot_ids", "limit", "cursor", "after_seq", "before_seq", "reply_to"]
)


@given(st.sampled_from(sorted(payloads.CLIENT_EVENTS)), st.lists(JSON | st.dictionaries(FIELDS, JSON), max_size=2))
def test_any_json_is_a_payload_or_a_refusal(name: str, arguments: list[Any]) -> None:
    with contextlib.suppress(InvalidRequest, PayloadTooLarge):
        parse(name, arguments)


def test_acks() -> None:
    assert protocol.accepted({"a": 1}) == {"ok": True, "a": 1}
    assert protocol.refused(RateLimited("slow down", retry_after=0.02)) == {
        "ok": False,
        "error": {"code": "rate_limited", "message": "slow down", "retry_after": 0.02},
    }
    assert protocol.refused(UserExists())["error"]["code"] == "internal"
    codes = {protocol.refused(error())["error"]["code"] for error in CATALOGUE.values()}
    assert codes == protocol.ACK_CODES
