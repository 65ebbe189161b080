"""The envelope: published strictly, consumed tolerantly, with no message text in errors."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.contracts.commands import SendMessage
from shared.contracts.envelope import Event, MalformedEvent, join, read_body
from shared.contracts.events import SessionHead
from shared.contracts.payload import rfc3339, utc_now
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
    payload = SendMessage(
        session_id=SESSION,
        message_id=uuid4(),
        user_id="alice",
        content=content,
        client_message_id=client_id,
        reply_to=None,
        created_at=MOMENT,
    )
    event = Event("gateway", payload, subject=subject, replyto="replies.1", correlationid="c", deadline=MOMENT)

    [received] = read_body(join([event.encode()]))

    assert received.parse(SendMessage) == payload
    assert (received.id, received.source, received.type) == (event.id, "gateway", "backchat.message.send.v1")
    assert (received.subject, received.replyto, received.correlationid) == (subject, "replies.1", "c")
    assert (received.deadline, received.time) == ("2026-11-23T09:30:00.123Z", rfc3339(event.time))


def test_envelope_is_a_cloud_event() -> None:
    raw = orjson.loads(Event("gateway", _head(), id="1", time=MOMENT).encode())

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
    with pytest.raises(ValidationError):
        SessionHead(session_id=SESSION, last_seq=1, mood="new")  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        ErrorView(code="x", message="y", extra=1)  # type: ignore[call-arg]


def test_payload_is_immutable() -> None:
    with pytest.raises(ValidationError):
        _head().last_seq = 2


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
    assert str(caught.value) == "backchat.session.head.v1: session_id, last_seq"


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


def test_times_are_rfc_3339_in_utc_with_milliseconds() -> None:
    berlin = timezone(timedelta(hours=1))
    assert rfc3339(MOMENT) == "2026-11-23T09:30:00.123Z"
    assert rfc3339(datetime(2026, 11, 23, 10, 30, tzinfo=berlin)) == "2026-11-23T09:30:00.000Z"
    assert datetime.fromisoformat(rfc3339(MOMENT)) == MOMENT
    assert utc_now().microsecond % 1000 == 0
    assert utc_now().tzinfo is UTC
