"""The envelope: published strictly, consumed tolerantly, with no message text in errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import payload
from shared.contracts.commands import SendMessage
from shared.contracts.envelope import Event, MalformedEvent, join, read_body
from shared.contracts.events import MessageStored, SessionHead
from shared.contracts.payload import parse_rfc3339, rfc3339, rfc3339_now, utc_now
from shared.contracts.views import ErrorView

SESSION = UUID("0b6d0f3e-6f0a-5c1b-9c5d-3a1f0e2d4c5b")
MOMENT = datetime(2026, 11, 23, 9, 30, 0, 123_000, UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))  # a lone surrogate is no valid Unicode text


def _head(n: int = 1) -> SessionHead:
    return SessionHead(session_id=SESSION, last_seq=n)


def _raw(**changes: object) -> bytes:
    return orjson.dumps(orjson.loads(Event("test", _head()).encode()) | changes)


@given(content=TEXT, subject=TEXT, client_id=st.none() | TEXT)
def test_encoded_event_is_decoded_unchanged(content: str, subject: str, client_id: str | None) -> None:
    message = SendMessage(
        session_id=SESSION,
        message_id=uuid4(),
        user_id="alice",
        content=content,
        client_message_id=client_id,
        reply_to=None,
        created_at=rfc3339(MOMENT),
    )
    event = Event("gateway", message, subject=subject, replyto="replies.1", correlationid="c", deadline=MOMENT)

    [received] = read_body(join([event.encode()]))

    assert received.parse(SendMessage) == message
    assert (received.id, received.source, received.type) == (event.id, "gateway", "backchat.message.send.v1")
    assert (received.subject, received.replyto, received.correlationid) == (subject, "replies.1", "c")
    assert (received.deadline, received.time) == ("2026-11-23T09:30:00.123Z", event.time)


def test_envelope_is_a_cloud_event() -> None:
    raw = orjson.loads(Event("gateway", _head(), id="1", time=rfc3339(MOMENT)).encode())

    assert raw == {
        "specversion": "1.0",
        "id": "1",
        "source": "gateway",
        "type": "backchat.session.head.v1",
        "time": "2026-11-23T09:30:00.123Z",
        "data": {"session_id": str(SESSION), "last_seq": 1},
    }


@given(st.lists(st.integers(min_value=0, max_value=2**63 - 1), max_size=20))
def test_body_keeps_the_order_of_its_events(ns: list[int]) -> None:
    body = join(Event("test", _head(n)).encode() for n in ns)
    assert [received.data["last_seq"] for received in read_body(body)] == ns


def test_fields_of_a_later_release_are_ignored() -> None:
    raw = _raw(data={"session_id": str(SESSION), "last_seq": 3, "mood": "new"}, partitionkey="later")
    [received] = read_body(join([raw]))
    assert received.parse(SessionHead) == _head(3)


def test_undeclared_field_cannot_be_published() -> None:
    with pytest.raises(TypeError):
        SessionHead(session_id=SESSION, last_seq=1, mood="new")  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        ErrorView(code="x", message="y", extra=1)  # type: ignore[call-arg]


def test_payload_is_immutable() -> None:
    with pytest.raises(AttributeError):
        _head().last_seq = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nothing",
        b"[",
        b"{}",
        b"7",
        b"null",
        b'""',
        b'"text"',
        b"[7]",
        b"[null]",
        b"[{}]",
        b"[[]]",
        b'\xff\xfe[{"id":1}]',
        join([_raw(data="text")]),
        join([_raw(data=[1])]),
        join([Event("test", _head()).encode(), b"{}"]),
        b"[" * 100_000,
    ],
)
def test_invalid_body_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedEvent):
        read_body(body)


def test_error_of_an_invalid_payload_has_no_message_text() -> None:
    secret = "my passcode is swordfish"
    raw = _raw(data={"session_id": secret, "last_seq": {"deep": secret}})
    [received] = read_body(join([raw]))

    with pytest.raises(MalformedEvent) as caught:
        received.parse(SessionHead)

    assert "swordfish" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__, "a traceback would show the values"
    assert str(caught.value) == "backchat.session.head.v1: session_id"


ID = "0b6d0f3e-6f0a-5c1b-9c5d-3a1f0e2d4c5b"
STORED = {
    "id": ID,
    "session_id": ID,
    "seq": 1,
    "updated_seq": 1,
    "sender_type": "user",
    "sender_id": "ada",
    "content": "hi",
    "created_at": "2026-11-23T09:30:00.123Z",
}


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (STORED | {"status": "swordfish"}, "message.status"),
        (STORED | {"status": "` - at `$.swordfish`"}, "message.status"),
        (STORED | {"status": "Object missing required field `swordfish`"}, "message.status"),
        (STORED | {"id": "swordfish"}, "message.id"),
        (STORED | {"seq": "1"}, "message.seq"),
        (STORED | {"error": {"code": "swordfish"}}, "message.error.message"),
        ({"swordfish": 1}, "message.id"),
        (["swordfish"], "message"),
    ],
)
def test_reason_of_a_malformed_payload_names_the_field_without_its_value(message: Any, field: str) -> None:
    [received] = read_body(join([_raw(type="backchat.message.stored.v1", data={"message": message})]))
    with pytest.raises(MalformedEvent) as caught:
        received.parse(MessageStored)
    assert str(caught.value) == f"backchat.message.stored.v1: {field}"


def test_payload_that_is_no_json_inside_its_text_is_malformed_only_when_it_is_read() -> None:
    [received] = read_body(b'[{"id":"1","source":"s","type":"t","time":"x","data":{"content":"\xff"}}]')
    with pytest.raises(MalformedEvent):
        received.parse(SessionHead)
    with pytest.raises(MalformedEvent):
        _ = received.data


def test_error_of_an_unreadable_body_has_no_message_text() -> None:
    with pytest.raises(MalformedEvent) as caught:
        read_body(b'[{"content": "swordfish"')
    assert "swordfish" not in str(caught.value)


def test_expired_event_is_late() -> None:
    [event] = read_body(join([Event("test", _head(), deadline=MOMENT).encode()]))
    assert not event.is_late(MOMENT)
    assert event.is_late(MOMENT + timedelta(milliseconds=1))
    [patient] = read_body(join([Event("test", _head()).encode()]))
    assert not patient.is_late(MOMENT)


def test_event_is_encoded_in_the_bytes_of_its_golden_order() -> None:
    event = Event("gateway", _head(), "s", "1", rfc3339(MOMENT), "t", "r", "c", MOMENT)
    assert event.encode() == (
        b'{"specversion":"1.0","id":"1","source":"gateway","type":"backchat.session.head.v1",'
        b'"time":"2026-11-23T09:30:00.123Z","subject":"s","traceparent":"t","replyto":"r","correlationid":"c",'
        b'"deadline":"2026-11-23T09:30:00.123Z","data":{"session_id":"0b6d0f3e-6f0a-5c1b-9c5d-3a1f0e2d4c5b",'
        b'"last_seq":1}}'
    )


def test_dead_letter_carries_the_event_as_it_was_received() -> None:
    encoded = Event("gateway", _head(), "s", "1", rfc3339(MOMENT), "t", "r", "c", MOMENT).encode()
    [received] = read_body(join([encoded]))
    assert received.encode() == encoded


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_current_time_is_formatted_as_any_other(moment: datetime) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    milliseconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payload.time, "time_ns", lambda: milliseconds * 1_000_000 + 999_999)
        assert rfc3339_now() == rfc3339(moment)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-23T09:30:00", "2026-13-45T09:30:00.000Z"])
def test_text_without_a_time_and_an_offset_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rfc3339(text)


def test_times_are_rfc_3339_in_utc_with_milliseconds() -> None:
    berlin = timezone(timedelta(hours=1))
    assert rfc3339(MOMENT) == "2026-11-23T09:30:00.123Z"
    assert rfc3339(datetime(2026, 11, 23, 10, 30, tzinfo=berlin)) == "2026-11-23T09:30:00.000Z"
    assert parse_rfc3339(rfc3339(MOMENT)) == MOMENT
    assert utc_now().microsecond % 1000 == 0
    assert utc_now().tzinfo is UTC
