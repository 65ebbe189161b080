"""Invites contain their session, have one spelling, and are stored only as a hash."""

from __future__ import annotations

import secrets
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat_gateway.domain import invites


def test_invite_contains_its_session() -> None:
    session_id = uuid4()
    first, second = (invites.compose(session_id, secrets.token_bytes(invites.SECRET_BYTES)) for _ in range(2))
    assert invites.session_of(first) == invites.session_of(second) == session_id
    assert invites.digest(first) != invites.digest(second)
    assert len(invites.digest(first)) == 64
    assert first not in invites.digest(first)


@pytest.mark.parametrize(
    "wrong", ["", "x", "A" * 63, "A" * 65, "A" * 63 + "=", "A" * 63 + "+", "A" * 64 + "\n", "ä" * 64]
)
def test_other_text_is_not_an_invite(wrong: str) -> None:
    assert invites.session_of(wrong) is None


@given(st.text(max_size=70))
def test_any_text_is_an_invite_or_none(text: str) -> None:
    session_id = invites.session_of(text)
    assert session_id is None or invites.compose(session_id, b"")[:20] == text[:20]
