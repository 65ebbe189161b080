"""Changes are repeated until their outcome is known; every other event is sent once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from backchat_client.actions import PATIENCE, Actions
from backchat_client.errors import Refused, Unknown
from backchat_client.state.session import SessionState
from backchat_client.wire import Payload


class Scripted(Actions):
    """Returns scripted outcomes in turn: an ack, a code, or `None` for no answer."""

    def __init__(self, *answers: Payload | str | None) -> None:
        self.random = lambda: 0.0
        self.answers = list(answers)
        self.calls: list[tuple[str, Payload]] = []

    async def call(self, event: str, payload: Payload | None = None, *, timeout: float = PATIENCE) -> Payload:
        self.calls.append((event, payload or {}))
        answer = self.answers.pop(0)
        if answer is None:
            raise Unknown(event)
        if isinstance(answer, str):
            raise Refused(answer)
        return answer

    async def open(self, session_id: str, *, timeout: float = PATIENCE) -> SessionState:
        return SessionState(session_id)


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the requested delays, in seconds, instead of sleeping."""
    asked: list[float] = []

    async def sleep(seconds: float) -> None:
        asked.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return asked


async def test_change_is_repeated_until_its_outcome_is_known(no_delay: list[float]) -> None:
    client = Scripted(None, "unavailable", "rate_limited", "internal", {"ok": True, "session": {"id": "S"}})
    assert await client.update_chat("S", title="Named") == {"id": "S"}
    assert client.calls == [("update_chat", {"session_id": "S", "title": "Named"})] * 5
    assert no_delay == [1.0, 2.0, 4.0]


async def test_final_refusal_is_not_repeated() -> None:
    with pytest.raises(Refused, match="forbidden"):
        await Scripted("forbidden").remove_user("S", "bob")


@pytest.mark.parametrize("action", [Scripted.leave_session, Scripted.delete_chat])
async def test_not_found_after_a_lost_ack_counts_as_done(action: Any) -> None:
    await action(Scripted(None, "not_found"), "S")
    with pytest.raises(Refused, match="not_found"):
        await action(Scripted("not_found"), "S")
    with pytest.raises(Refused, match="not_found"):
        await Scripted(None, "not_found").stop_reply("S", "m")


async def test_reads_and_invites_are_sent_once() -> None:
    """A repeated `create_invite` would create a second invite."""
    for action in (Scripted.list_chats, Scripted.list_chatbots):
        with pytest.raises(Unknown):
            await action(Scripted(None))
    with pytest.raises(Unknown):
        await Scripted(None).create_invite("S", max_uses=1)


async def test_an_accepted_invite_opens_the_session() -> None:
    state = await Scripted(None, {"ok": True, "session": {"id": "S"}}).accept_invite("secret")
    assert state.id == "S"
