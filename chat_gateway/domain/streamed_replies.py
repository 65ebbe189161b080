"""Replies under way, as far as this gateway has seen them. Pure; bounded in number and in text.

Deltas have no number and may come late, twice or from a run that was overtaken; the rules here decide
which of them a client may still see, and keep the text so far for sockets that join in the middle.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

ENDED_MAX = 10_000  # reply ids
ACTIVE_MAX = 10_000  # replies


@dataclass(slots=True)
class StreamedReply:
    """`parts` joined are the text of `attempt`; `whole` is false when its beginning was not seen."""

    session_id: str
    message_id: str
    chatbot_id: str
    attempt: int
    parts: list[str] = field(default_factory=list)
    length: int = 0  # code points
    whole: bool = True

    @property
    def text(self) -> str:
        """The text so far, or nothing if its beginning is unknown."""
        if len(self.parts) > 1:
            self.parts = ["".join(self.parts)]
        return self.parts[0] if self.parts and self.whole else ""


class StreamedReplies:
    """All active replies of the sessions a gateway serves."""

    def __init__(self, text_max: int) -> None:
        self._text_max = text_max  # code points of all texts together
        self._text = 0
        self._active: OrderedDict[str, StreamedReply] = OrderedDict()
        self._of_session: dict[str, set[str]] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()

    def streamed(
        self, session_id: str, message_id: str, chatbot_id: str, attempt: int, offset: int, text: str, *, snapshot: bool
    ) -> StreamedReply | None:
        """Take a delta in; the reply it belongs to, or `None` if nobody may see this delta."""
        if message_id in self._ended:
            return None
        reply = self._active.get(message_id)
        if reply is not None and attempt < reply.attempt:
            return None
        if reply is None or attempt > reply.attempt:
            if reply is not None:
                self._drop(reply)
            reply = self._begin(StreamedReply(session_id, message_id, chatbot_id, attempt))
        if snapshot:
            self._replace(reply, text)
        elif reply.whole and offset < reply.length:
            return None  # seen before
        elif reply.whole and offset == reply.length:
            reply.parts.append(text)
            reply.length += len(text)
            self._text += len(text)
        elif reply.whole:  # something is missing: clients that have it all may go on, we wait for a snapshot
            self._replace(reply, "")
            reply.whole = False
        self._trim(reply)
        return reply

    def ended(self, message_id: str) -> None:
        """The reply is stored: nothing of it may be streamed any more."""
        reply = self._active.get(message_id)
        if reply is not None:
            self._drop(reply)
        self._ended[message_id] = None
        if len(self._ended) > ENDED_MAX:
            self._ended.popitem(last=False)

    def find(self, message_id: str) -> StreamedReply | None:
        """An active reply by its message id."""
        return self._active.get(message_id)

    def of_session(self, session_id: str) -> frozenset[str]:
        """The message ids of a session's active replies."""
        return frozenset(self._of_session.get(session_id, ()))

    def forget_session(self, session_id: str) -> None:
        """The session is served no more."""
        for message_id in self.of_session(session_id):
            self._drop(self._active[message_id])

    def _begin(self, reply: StreamedReply) -> StreamedReply:
        self._active[reply.message_id] = reply
        self._of_session.setdefault(reply.session_id, set()).add(reply.message_id)
        return reply

    def _replace(self, reply: StreamedReply, text: str) -> None:
        self._text += len(text) - sum(map(len, reply.parts))
        reply.parts, reply.length, reply.whole = [text], len(text), True

    def _drop(self, reply: StreamedReply) -> None:
        del self._active[reply.message_id]
        self._text -= sum(map(len, reply.parts))
        ids = self._of_session[reply.session_id]
        ids.discard(reply.message_id)
        if not ids:
            del self._of_session[reply.session_id]

    def _trim(self, reply: StreamedReply) -> None:
        self._active.move_to_end(reply.message_id)
        while len(self._active) > 1 and (len(self._active) > ACTIVE_MAX or self._text > self._text_max):
            self._drop(next(iter(self._active.values())))
