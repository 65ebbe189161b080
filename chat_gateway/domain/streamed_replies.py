"""Unfinished replies, as far as this gateway has received them. Pure; bounded in number and in characters.

Deltas have no sequence number. They may be late, repeated, or from an attempt that was superseded. The rules here
decide which deltas a client may see, and keep the text so far for sockets that join during a reply.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal

DeltaName = Literal["message_delta", "reasoning_delta"]  # the text of a reply, or its reasoning: streamed separately

ENDED_MAX = 10_000  # reply ids
ACTIVE_MAX = 10_000  # texts of replies
NAMES: tuple[DeltaName, ...] = ("message_delta", "reasoning_delta")


@dataclass(slots=True)
class StreamedReply:
    """One text of an unfinished reply. `parts` joined are the text of `attempt`; `whole`: no part of it was missed."""

    session_id: str
    message_id: str
    chatbot_id: str
    attempt: int
    parts: list[str] = field(default_factory=list)
    length: int = 0  # code points
    whole: bool = True
    name: DeltaName = "message_delta"

    @property
    def key(self) -> str:
        """Identifies the text: a reply may stream two."""
        return _key(self.message_id, self.name)

    @property
    def text(self) -> str:
        """The text so far; empty if a part was missed."""
        if len(self.parts) > 1:
            self.parts = ["".join(self.parts)]
        return self.parts[0] if self.parts and self.whole else ""


class StreamedReplies:
    """The unfinished replies of all served sessions."""

    def __init__(self, text_max: int) -> None:
        self._text_max = text_max  # code points of all texts together
        self._text = 0
        self._active: OrderedDict[str, StreamedReply] = OrderedDict()
        self._of_session: dict[str, set[str]] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()

    def streamed(
        self,
        session_id: str,
        message_id: str,
        chatbot_id: str,
        attempt: int,
        offset: int,
        text: str,
        *,
        snapshot: bool,
        name: DeltaName = "message_delta",
    ) -> StreamedReply | None:
        """Take a delta; return its reply, or `None` if no client may see the delta.

        `offset` is the place of `text` in the reply, in code points. A `snapshot` replaces the text so far. The attempt
        is that of text and reasoning together: a higher one ends both texts of the attempts before.
        """
        if message_id in self._ended or not self._is_newest(message_id, attempt):
            return None
        reply = self.find(message_id, name)
        if reply is None:
            reply = self._begin(StreamedReply(session_id, message_id, chatbot_id, attempt, name=name))
        if snapshot:
            self._replace(reply, text)
        elif reply.whole and offset < reply.length:
            return None  # a repeated delta
        elif reply.whole and offset == reply.length:
            reply.parts.append(text)
            reply.length += len(text)
            self._text += len(text)
        elif reply.whole:  # a delta was missed: clients that have all of them continue, new ones need a snapshot
            self._replace(reply, "")
            reply.whole = False
        self._trim(reply)
        return reply

    def _is_newest(self, message_id: str, attempt: int) -> bool:
        """Return whether no higher attempt was seen, and drop the texts of lower ones."""
        for name in NAMES:
            if (reply := self.find(message_id, name)) is None:
                continue
            if reply.attempt > attempt:
                return False
            if reply.attempt < attempt:
                self._drop(reply)
        return True

    def ended(self, message_id: str) -> None:
        """Drop a reply that is stored; its later deltas are ignored."""
        for name in NAMES:
            if (reply := self.find(message_id, name)) is not None:
                self._drop(reply)
        self._ended[message_id] = None
        if len(self._ended) > ENDED_MAX:
            self._ended.popitem(last=False)

    def find(self, message_id: str, name: DeltaName = "message_delta") -> StreamedReply | None:
        """Return the unfinished reply with this message id."""
        return self._active.get(_key(message_id, name))

    def has(self, message_id: str) -> bool:
        """Return whether text or reasoning of this reply was received, and it has not ended."""
        return any(self.find(message_id, name) is not None for name in NAMES)

    def of_session(self, session_id: str) -> frozenset[str]:
        """Return the keys of the texts of a session's unfinished replies."""
        return frozenset(self._of_session.get(session_id, ()))

    def forget_session(self, session_id: str) -> None:
        """Drop the replies of a session that is no longer served."""
        for key in self.of_session(session_id):
            self._drop(self._active[key])

    def _begin(self, reply: StreamedReply) -> StreamedReply:
        self._active[reply.key] = reply
        self._of_session.setdefault(reply.session_id, set()).add(reply.key)
        return reply

    def _replace(self, reply: StreamedReply, text: str) -> None:
        self._text += len(text) - sum(map(len, reply.parts))
        reply.parts, reply.length, reply.whole = [text], len(text), True

    def _drop(self, reply: StreamedReply) -> None:
        del self._active[reply.key]
        self._text -= sum(map(len, reply.parts))
        ids = self._of_session[reply.session_id]
        ids.discard(reply.key)
        if not ids:
            del self._of_session[reply.session_id]

    def _trim(self, reply: StreamedReply) -> None:
        self._active.move_to_end(reply.key)
        while len(self._active) > 1 and (len(self._active) > ACTIVE_MAX or self._text > self._text_max):
            self._drop(next(iter(self._active.values())))


def _key(message_id: str, name: DeltaName) -> str:
    return message_id if name == "message_delta" else f"{message_id}/{name}"
