"""The state of one session, and how answers and events change it (contract.md §3.6). Pure.

**Cursor.** The highest number applied while joined, or the `last_seq` of the latest answer to `join_chat`. Events that
arrive before the socket has joined change the state but never the cursor: `session_updated` goes to all sockets, and a
cursor advanced by it would skip missed messages that are not loaded yet.

**Gaps.** A number above cursor + 1 on a joined socket is no loss: numbers ascend, and one is left out only if the
message it changed is sent again under a later number. If the connection breaks in between, that later number is above
the cursor, so the next join returns it. Changes are missed only between two connections; therefore the client joins
with its cursor on every connect, and nothing else is needed.
"""

from __future__ import annotations

from typing import Any, cast

from backchat_client.state.replies import ActiveReplies, Reply
from backchat_client.wire import Message, Payload, Session

# "message", "message_updated", "session_updated", "reply" or "loaded", and its new state
Change = tuple[str, Payload]


class SessionState:
    """One session as the client knows it. Read-only for programs."""

    def __init__(self, session_id: str) -> None:
        self.id = session_id
        self.session: Session | None = None
        self.joined = False
        self.cursor: int | None = None  # None until loaded
        self.read_seq: int | None = None  # how far the user has read, on any device; None until loaded
        self.replies = ActiveReplies()
        self._floor: int | None = None  # the lowest `seq` in `messages`; 0: the history is complete; None until loaded
        self._held: dict[str, Message] = {}
        self._shown: list[Message] | None = None  # `messages`, sorted; None after a change

    @property
    def messages(self) -> list[Message]:
        """The loaded history, without gaps, ascending by `seq`."""
        if self._shown is None:
            floor = self._floor
            shown = [m for m in self._held.values() if floor is not None and m["seq"] >= floor]
            self._shown = sorted(shown, key=lambda message: message["seq"])
        return list(self._shown)

    @property
    def has_older(self) -> bool:
        """Whether there is history before `messages`."""
        return self._floor is not None and self._floor > 0

    @property
    def older_than(self) -> int | None:
        """The `before_seq` of the previous page of history; None if there is none."""
        return self._floor or None

    @property
    def texts(self) -> dict[str, str]:
        """The texts so far of the active replies, by message id."""
        return {message_id: reply.text for message_id, reply in self.replies.by_id.items()}

    @property
    def reasonings(self) -> dict[str, str]:
        """The reasoning so far of the active replies that have some, by message id."""
        return {message_id: reply.reasoning for message_id, reply in self.replies.by_id.items() if reply.reasoning}

    def message(self, message_id: str) -> Message | None:
        """The message with that id, if it is loaded."""
        return self._held.get(message_id)

    def started(self, session: Session) -> None:
        """Apply a session that was created just now (`last_seq` is 0): it is joined, with nothing to load."""
        self.session = session
        self.cursor = self.read_seq = self._floor = 0
        self.joined = True

    def disconnected(self) -> None:
        """End the join: the connection is lost."""
        self.joined = False

    def reset(self) -> None:
        """Discard everything: the server's numbers went backwards (`conflict`)."""
        self.session = self.cursor = self.read_seq = self._floor = self._shown = None
        self.joined = False
        self.replies = ActiveReplies()
        self._held.clear()

    def join_answered(self, answer: Payload, after_seq: int | None) -> list[Change]:
        """Apply an answer to `join_chat`; return the changes. The session is not joined while pages are missing."""
        first = after_seq is None
        messages: list[Message] = answer["messages"]
        if first:
            self._floor = messages[0]["seq"] if answer["has_more"] and messages else 0
            self._shown = None
        changes = self._session(answer["session"])
        self.read(answer["session"].get("read_seq", 0))
        found = [change for message in messages for change in self._message(message)]
        self.cursor = max(self.cursor or 0, answer["last_seq"])
        # A first load is the present state, not news: one change for all messages.
        changes += [("loaded", {"session_id": self.id, "messages": messages})] if first else found
        if first or not answer["has_more"]:
            self.joined = True
            begun = self.replies.apply_join(answer["active_replies"], self._held)
            changes += [self._reply(reply) for reply in begun]
        return changes

    def older_answered(self, before_seq: int, answer: Payload) -> list[Change]:
        """Apply an answer to `get_messages` with `before_seq`: the page just before `messages`."""
        messages: list[Message] = answer["messages"]
        for message in messages:
            self._message(message)
        if before_seq == self._floor:
            if not answer["has_more"]:
                self._floor = 0
            elif messages:
                self._floor = messages[0]["seq"]
            self._shown = None
        return [("loaded", {"session_id": self.id, "messages": messages})]

    def read(self, seq: int) -> None:
        """Raise the user's read mark to `seq`."""
        self.read_seq = max(self.read_seq or 0, seq)

    def event(self, name: str, payload: Payload) -> list[Change]:
        """Apply `message`, `message_updated`, a delta or `session_updated`; return the changes."""
        if name in ("message_delta", "reasoning_delta"):
            reasoning = name == "reasoning_delta"
            if payload["message_id"] in self._held or not self.replies.apply_delta(payload, reasoning=reasoning):
                return []
            return [self._reply(self.replies.by_id[payload["message_id"]])]
        if name == "session_updated":
            number, changes = payload["seq"], self._session(cast("Session", payload))
        else:
            number, changes = payload["updated_seq"], self._message(cast("Message", payload))
        if self.joined and self.cursor is not None:
            self.cursor = max(self.cursor, number)
        return changes

    def _message(self, message: Message) -> list[Change]:
        known = self._held.get(message["id"])
        if known is not None and known["updated_seq"] >= message["updated_seq"]:
            return []
        self._held[message["id"]] = message
        self._shown = None
        self.replies.remove(message["id"])
        # A message older than the loaded history is reported as an update, even if it arrives for the first time.
        new = known is None and (self._floor is None or message["seq"] >= self._floor)
        return [("message" if new else "message_updated", cast("Payload", message))]

    def _session(self, session: Session) -> list[Change]:
        if self.session is not None and self.session["seq"] >= session["seq"]:
            return []
        self.session = session
        return [("session_updated", cast("Payload", session))]

    def _reply(self, reply: Reply) -> Change:
        shape: dict[str, Any] = {"session_id": self.id, "message_id": reply.message_id, "chatbot_id": reply.chatbot_id}
        return "reply", {**shape, "attempt": reply.attempt, "text": reply.text, "reasoning": reply.reasoning}
