"""Plays a golden scenario of `tests/contract/client_scenarios` (see its README) on the kit's core."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from backchat_client.state.core import Core
from backchat_client.state.outbox import Outgoing
from backchat_client.state.requests import Call
from backchat_client.state.session import SessionState

SCENARIOS = Path(__file__).parents[2] / "contract" / "client_scenarios"
NOTICES = frozenset({"accepted", "failed", "started", "closed"})
NOON = "2026-11-23T12:00:00.000Z"
MESSAGE: dict[str, Any] = {
    "session_id": "S",
    "sender_type": "user",
    "sender_id": "ada",
    "created_at": NOON,
    "client_message_id": None,
    "reply_to": None,
    "error": None,
    "superseded_by": None,
    "status": "complete",
}
SESSION: dict[str, Any] = {
    "id": "S",
    "title": None,
    "owner_id": "ada",
    "users": ["ada"],
    "chatbots": [{"id": "echo", "name": "Echo"}],
    "reply_policy": "mentioned",
    "seq": 0,
    "last_seq": 0,
    "created_at": NOON,
    "updated_at": NOON,
}
DELTA: dict[str, Any] = {"session_id": "S", "chatbot_id": "echo", "attempt": 1, "snapshot": False}
DEFAULTS: dict[str, dict[str, Any]] = {"session_updated": SESSION, "message_delta": DELTA, "reasoning_delta": DELTA}


def message(short: dict[str, Any]) -> dict[str, Any]:
    seq = short["seq"]
    return {**MESSAGE, "id": f"m{seq}", "updated_seq": seq, "content": f"text {seq}", **short}


def event(name: str, short: dict[str, Any]) -> dict[str, Any]:
    if name in ("message", "message_updated"):
        return message(short)
    return {**DEFAULTS.get(name, {}), **short}


def answer(name: str, short: dict[str, Any] | None) -> dict[str, Any] | None:
    if short is None or not short["ok"]:
        return short
    empty: dict[str, Any] = {"messages": [], "active_replies": [], "has_more": False}
    whole = {**(empty if name == "join_chat" else {}), **short}
    if "session" in whole:
        whole["session"] = {**SESSION, **whole["session"]}
    if "messages" in whole:
        whole["messages"] = [message(each) for each in whole["messages"]]
    return whole


class Player:
    """Plays one scenario."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.core = Core([], lambda: 0.0)
        self.unanswered: list[Call] = []

    def play(self, scenario: Path) -> None:
        for place, step in enumerate(json.loads(scenario.read_text())["steps"]):
            expected = step.pop("expect", {})
            [(what, value)] = step.items()
            getattr(self, f"do_{what}")(value)
            calls = self.core.calls()
            self.unanswered += calls
            self.check(f"{scenario.stem}[{place}] {what}", calls, expected)

    def check(self, where: str, calls: list[Call], expected: dict[str, Any]) -> None:
        made = [[c.event, {k: v for k, v in c.payload.items() if k != "limit"}] for c in calls]
        assert made == expected.get("calls", []), where
        notices = [(n.name, n.payload) for n in self.core.notices() if n.name in NOTICES]
        if "notices" in expected:
            fitting = [
                [n, {k: p.get(k) for k in want}] for (n, p), (_, want) in zip(notices, expected["notices"], strict=True)
            ]
            assert fitting == expected["notices"], where
        if "outbox" in expected:
            assert [item.client_message_id for item in self.core.outbox] == expected["outbox"], where
        for session_id, wanted in expected.get("sessions", {}).items():
            state = self.core.sessions.get(session_id)
            assert (state is None) == (wanted is None), where
            if state is not None:
                assert self.seen(state, wanted) == wanted, where

    @staticmethod
    def seen(state: SessionState, wanted: dict[str, Any]) -> dict[str, Any]:
        """Return the state's fields that are in `wanted`."""
        messages: list[Any] = list(state.messages)
        for place, fields in enumerate(wanted.get("messages", [])):
            if place < len(messages):
                messages[place] = {key: messages[place][key] for key in fields}
        whole = {
            "cursor": state.cursor,
            "joined": state.joined,
            "has_older": state.has_older,
            "title": state.session["title"] if state.session else None,
            "read": state.read_seq,
            "messages": messages,
            "replies": state.texts,
            "reasonings": state.reasonings,
        }
        assert set(wanted) <= set(whole), wanted
        return {key: whole[key] for key in wanted}

    def do_connect(self, _: object) -> None:
        self.core.connect("ada")

    def do_disconnect(self, _: object) -> None:
        self.core.disconnect()
        self.unanswered.clear()

    def do_restart(self, _: object) -> None:
        self.core = Core(list(self.core.outbox), lambda: 0.0)
        self.unanswered.clear()

    def do_wait(self, seconds: float) -> None:
        until = self.now + seconds
        while (due := self.core.wake_at) is not None and due <= until:
            self.now = due
            self.core.tick(due)
        self.now = until

    def do_open(self, session_id: str) -> None:
        self.core.open(session_id)

    def do_leave(self, session_id: str) -> None:
        self.core.leave(session_id)

    def do_older(self, session_id: str) -> None:
        self.core.older(session_id)

    def do_start_chat(self, payload: dict[str, Any]) -> None:
        self.core.start_chat(payload)

    def do_send(self, item: dict[str, Any]) -> None:
        self.core.send(Outgoing(**item))

    def do_ack(self, step: list[Any]) -> None:
        name, short = step
        call = next(call for call in self.unanswered if call.event == name)
        self.unanswered.remove(call)
        self.core.answered(call.id, answer(name, short), self.now)

    def do_event(self, step: list[Any]) -> None:
        name, short = step
        self.core.event(name, event(name, short))
