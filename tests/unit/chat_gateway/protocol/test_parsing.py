"""What clients may say, field by field (contract.md §3.2)."""

from __future__ import annotations

import contextlib
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_gateway.protocol import payloads
from chat_gateway.protocol.parsing import parse
from shared.errors import BackchatError, InvalidRequest, PayloadTooLarge

SESSION = "6F1a7d0e-3c52-4d0b-9a55-0b7c1b7e4a10"


def refusal(name: Any, *arguments: Any) -> str:
    with pytest.raises(BackchatError) as caught:
        parse(name, list(arguments))
    return caught.value.code


@pytest.mark.parametrize("name", ["connect", "disconnect", "nothing", "", "__class__", 7, None, ["start_chat"], {}])
def test_unknown_and_reserved_events_are_refused(name: Any) -> None:
    assert refusal(name, {}) == "invalid_request"


@pytest.mark.parametrize("arguments", [[], [None], [[]], ["x"], [1], [True], [{}, {}]])
def test_event_takes_exactly_one_object(arguments: list[Any]) -> None:
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
def test_invalid_content_is_refused(content: Any, code: str) -> None:
    assert refusal("send_message", {"session_id": SESSION, "content": content}) == code


@pytest.mark.parametrize("content", ["x", "🙂" * 16_000, "  x  ", " " * 1_000 + "x" * 16_000])
def test_content_is_not_changed(content: str) -> None:
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
def test_start_chat_refuses_invalid_fields(payload: dict[str, Any]) -> None:
    assert refusal("start_chat", payload) == "invalid_request"


@pytest.mark.parametrize("policy", ["mentioned", "all", "round_robin", "silent"])
def test_start_chat_accepts_every_policy(policy: str) -> None:
    assert parse("start_chat", [{"reply_policy": policy, "title": "x" * 200, "chatbot_ids": []}]).reply_policy == policy


MESSAGE = "0b7c1b7e-3c52-4d0b-9a55-6f1a7d0e4a10"
WHOLE: dict[str, dict[str, Any]] = {
    "update_chat": {},
    "delete_chat": {},
    "add_chatbot": {"chatbot_id": "eliza"},
    "remove_chatbot": {"chatbot_id": "eliza"},
    "create_invite": {},
    "leave_session": {},
    "remove_user": {"user_id": "bob"},
    "stop_reply": {"message_id": MESSAGE},
    "regenerate_reply": {"message_id": MESSAGE},
    "edit_message": {"message_id": MESSAGE, "content": "x"},
    "rate_reply": {"message_id": MESSAGE, "rating": 1},
    "set_typing": {"typing": True},
    "mark_read": {"seq": 0},
}


@pytest.mark.parametrize("event", sorted(WHOLE))
def test_change_requires_each_of_its_fields(event: str) -> None:
    """And takes no other form of them."""
    payload = {"session_id": SESSION, **WHOLE[event]}
    assert parse(event, [payload]).session_id == UUID(SESSION)  # type: ignore[attr-defined]
    for field in payload:
        for wrong in (None, "", "\0", 7.5, [], {}, "x" * 100_000):
            assert refusal(event, {**payload, field: wrong}) in ("invalid_request", "payload_too_large")


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("update_chat", {"title": ""}),
        ("update_chat", {"title": "x" * 201}),
        ("update_chat", {"reply_policy": "loud"}),
        ("add_chatbot", {"chatbot_id": "x" * 65}),
        ("create_invite", {"expires_in": 0}),
        ("create_invite", {"expires_in": 90 * 86_400 + 1}),
        ("create_invite", {"expires_in": "3600"}),
        ("create_invite", {"expires_in": True}),
        ("create_invite", {"max_uses": 0}),
        ("create_invite", {"max_uses": 1_001}),
        ("create_invite", {"max_uses": 1.0}),
        ("remove_user", {"user_id": "bob "}),
        ("remove_user", {"user_id": "bob\n"}),
        ("remove_user", {"user_id": "x" * 65}),
        ("rate_reply", {"rating": 2}),
        ("rate_reply", {"rating": True}),
        ("rate_reply", {"rating": 1.0}),
        ("rate_reply", {"rating": "1"}),
        ("rate_reply", {"comment": "x" * 2_001}),
        ("rate_reply", {"comment": "\ud800"}),
        ("edit_message", {"content": " \n"}),
        ("set_typing", {"typing": 1}),
        ("set_typing", {"typing": "true"}),
        ("mark_read", {"seq": -1}),
        ("mark_read", {"seq": 2**63}),
    ],
)
def test_fields_out_of_bounds_are_refused(event: str, fields: dict[str, Any]) -> None:
    assert refusal(event, {"session_id": SESSION, **WHOLE[event], **fields}) == "invalid_request"


def test_edit_has_the_bounds_of_a_message() -> None:
    payload = {"session_id": SESSION, "message_id": MESSAGE, "content": "🙂" * 16_001}
    assert refusal("edit_message", payload) == "payload_too_large"
    assert parse("edit_message", [{**payload, "content": " x "}]).content == " x "  # type: ignore[attr-defined]


def test_user_ids_are_lowercased() -> None:
    asked = parse("remove_user", [{"session_id": SESSION, "user_id": "Bob.B-1_"}])
    assert asked.user_id == "bob.b-1_"  # type: ignore[attr-defined]


def test_invite_expires_after_a_week_by_default() -> None:
    plain = parse("create_invite", [{"session_id": SESSION, "expires_in": None}])
    assert (plain.expires_in, plain.max_uses) == (604_800, None)  # type: ignore[attr-defined]


@pytest.mark.parametrize("query", ["", "x" * 201, "\0", "\udfff", 7, ["x"], None])
def test_invalid_queries_are_refused(query: Any) -> None:
    assert refusal("search_messages", {"query": query}) == "invalid_request"
    assert refusal("search_messages", {"query": "x", "session_id": "mine"}) == "invalid_request"
    assert refusal("search_messages", {"query": "x", "limit": 0}) == "invalid_request"


@pytest.mark.parametrize("invite", [None, "", 7, ["x"], "x" * 1_001])
def test_invite_is_a_short_text(invite: Any) -> None:
    assert refusal("accept_invite", {"invite": invite}) == "invalid_request"


def test_refusal_never_repeats_the_input() -> None:
    """Refusals go to logs and screens; the words of a message do not."""
    with pytest.raises(InvalidRequest) as caught:
        parse("send_message", [{"session_id": "my secret", "content": ["my secret"]}])
    assert "secret" not in caught.value.detail


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
)
FIELDS = st.sampled_from(
    sorted({field for payload in payloads.CLIENT_EVENTS.values() for field in payload.model_fields})
)


@given(st.sampled_from(sorted(payloads.CLIENT_EVENTS)), st.lists(JSON | st.dictionaries(FIELDS, JSON), max_size=2))
def test_any_json_is_a_payload_or_a_refusal(name: str, arguments: list[Any]) -> None:
    with contextlib.suppress(InvalidRequest, PayloadTooLarge):
        parse(name, arguments)
