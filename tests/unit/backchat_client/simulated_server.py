"""An in-memory server of one session that keeps the contract, and loses what the contract allows it to lose."""

from __future__ import annotations

from collections import deque
from typing import Any

from backchat_client.state.core import Core
from backchat_client.state.requests import Call
from tests.unit.backchat_client.player import MESSAGE, SESSION

PAGE = 3  # messages in an answer
ERRORS = ("unavailable", "internal", "rate_limited")


class SimulatedServer:
    """`up` holds the client's calls in flight, `down` the answers and events; both in order, both can be lost."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.now = 0.0
        self.up: deque[Call] = deque()
        self.down: deque[tuple[str, Any, Any]] = deque()
        self.session: dict[str, Any] = {**SESSION}
        self.messages: dict[str, dict[str, Any]] = {}  # by client_message_id, in the order stored
        self.accepted: deque[Call] = deque()  # acked but not stored
        self.joined = False

    @property
    def last_seq(self) -> int:
        return int(self.session["last_seq"])

    def connect(self) -> None:
        self.core.connect("ada")
        self.collect()

    def disconnect(self) -> None:
        """Lose everything in flight in both directions."""
        self.core.disconnect()
        self.up.clear()
        self.down.clear()
        self.joined = False

    def collect(self) -> None:
        """Take the calls that the client makes."""
        self.up += self.core.calls()

    def handle(self, outcome: str) -> None:
        """Process the next call: `ok`, `silent` (done, not answered), `lost` (neither), or refused with an error code."""
        call = self.up.popleft()
        if outcome in ERRORS:
            self.answer(call, {"ok": False, "error": {"code": outcome, "message": "", "retry_after": 1.0}})
        elif outcome == "lost":
            self.answer(call, None)
        else:
            answer = getattr(self, call.event)(call)
            self.answer(call, answer if outcome == "ok" else None)

    def deliver(self) -> None:
        """Deliver the next answer or event to the client."""
        kind, what, value = self.down.popleft()
        if kind == "ack":
            self.core.answered(what, value, self.now)
            if value is None:  # like the kit's connection, which drops after a missing ack
                self.disconnect()
        else:
            self.core.event(what, value)
        self.collect()

    def answer(self, call: Call, answer: Any) -> None:
        self.down.append(("ack", call.id, answer))

    def send_message(self, call: Call) -> dict[str, Any]:
        self.accepted.append(call)
        client_message_id = call.payload["client_message_id"]
        return {"ok": True, "message_id": f"id-{client_message_id}", "client_message_id": client_message_id}

    def join_chat(self, call: Call) -> dict[str, Any]:
        after = call.payload.get("after_seq")
        found = [m for m in self.messages.values() if m["updated_seq"] > (after or 0)]
        if after is None:
            found = sorted(found, key=lambda m: m["seq"])
            page, more = found[-PAGE:], len(found) > PAGE
        else:
            found = sorted(found, key=lambda m: m["updated_seq"])
            page, more = found[:PAGE], len(found) > PAGE
        partial = after is not None and more
        self.joined = self.joined or not partial
        last_seq = page[-1]["updated_seq"] if partial else self.last_seq
        shape: dict[str, Any] = {
            "session": dict(self.session),
            "has_more": more,
            "last_seq": last_seq,
            "active_replies": [],
        }
        return {"ok": True, "messages": [dict(m) for m in page], **shape}

    def get_messages(self, call: Call) -> dict[str, Any]:
        found = sorted(self.messages.values(), key=lambda m: m["seq"])
        found = [dict(m) for m in found if m["seq"] < call.payload["before_seq"]]
        return {"ok": True, "messages": found[-PAGE:], "has_more": len(found) > PAGE}

    def store(self) -> None:
        """Store the next accepted message, unless it is stored."""
        payload = self.accepted.popleft().payload
        client_message_id = payload["client_message_id"]
        if client_message_id in self.messages:
            return
        number = self.number()
        message = {
            **MESSAGE,
            "id": f"id-{client_message_id}",
            "seq": number,
            "content": payload["content"],
            "client_message_id": client_message_id,
        }
        self.messages[client_message_id] = message
        self.change("message", message, number)

    def edit(self, place: int) -> None:
        """Change a stored message."""
        message = list(self.messages.values())[place % len(self.messages)]
        number = self.number()
        message["content"] += "!"
        self.change("message_updated", message, number)

    def rename(self) -> None:
        """Change the session's title; every socket gets the event, joined or not."""
        number = self.number()
        self.session.update(seq=number, title=f"title {number}")
        self.down.append(("event", "session_updated", dict(self.session)))

    def number(self) -> int:
        self.session["last_seq"] += 1
        return self.last_seq

    def change(self, name: str, message: dict[str, Any], number: int) -> None:
        """Send an event to the joined socket. It replaces one of the same message in flight, as the contract allows."""
        message["updated_seq"] = number
        if self.joined:
            for item in [i for i in self.down if i[0] == "event" and i[2].get("id") == message["id"]]:
                self.down.remove(item)
            self.down.append(("event", name, dict(message)))

    def run_to_rest(self) -> None:
        """Deliver everything in flight and run every due retry, without further faults."""
        for _ in range(10_000):
            if not self.core.connected:
                self.connect()
            elif self.down:
                self.deliver()
            elif self.up:
                self.handle("ok")
            elif self.accepted:
                self.store()
            elif (due := self.core.wake_at) is not None:
                self.now = due
                self.core.tick(due)
                self.collect()
            else:
                return
        raise AssertionError("the client never stops making calls")
