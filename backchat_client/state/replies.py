"""The texts of active replies (contract.md §3.7, `message_delta` and `reasoning_delta`). Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from backchat_client.wire import Payload

NO_ATTEMPT = -1  # below every attempt: no text of this reply has arrived


@dataclass(slots=True)
class Reply:
    """An active reply. The lengths of `text` and `reasoning` count code points, as `offset` does."""

    message_id: str
    chatbot_id: str
    attempt: int = NO_ATTEMPT
    text: str = ""
    reasoning: str = ""


class ActiveReplies:
    """The active replies of one session, by message id."""

    def __init__(self) -> None:
        self.by_id: dict[str, Reply] = {}

    def apply_delta(self, delta: Payload, *, reasoning: bool = False) -> bool:
        """Apply a delta of a message that is not stored yet; return whether anything changed.

        Args:
            delta: of `message_delta`, or of `reasoning_delta`: the two texts have offsets of their own.
            reasoning: whether it is a `reasoning_delta`.
        """
        message_id: str = delta["message_id"]
        attempt: int = delta["attempt"]
        reply = self.by_id.get(message_id) or Reply(message_id, delta["chatbot_id"])
        if attempt < reply.attempt:
            return False
        changed = attempt > reply.attempt
        if changed:  # a new attempt discards both texts of the previous one, whatever this delta holds
            reply.attempt, reply.text, reply.reasoning = attempt, "", ""
            self.by_id[message_id] = reply
        known = reply.reasoning if reasoning else reply.text
        text = known
        if delta["snapshot"]:
            text = delta["text"]
        elif delta["offset"] == len(known):
            text = known + delta["text"]
        if reasoning:
            reply.reasoning = text
        else:
            reply.text = text
        return changed or text != known

    def apply_join(self, under_way: Iterable[Payload], stored: Container[str]) -> list[Reply]:
        """Apply the `active_replies` of a complete join; those omitted have ended. Return what changed."""
        listed = [reply for reply in under_way if reply["message_id"] not in stored]
        ids = {reply["message_id"] for reply in listed}
        for message_id in [known for known in self.by_id if known not in ids]:
            del self.by_id[message_id]
        return [self.by_id[reply["message_id"]] for reply in listed if self._apply_snapshot(reply)]

    def _apply_snapshot(self, reply: Payload) -> bool:
        """Apply an element of `active_replies`; return whether anything changed.

        The gateway may know less than this client (attempt 0); a lower attempt changes nothing.
        """
        snapshot = {**reply, "offset": 0, "snapshot": True}
        changed = self.apply_delta(snapshot)
        thoughts = reply.get("reasoning", "")  # absent from an older gateway
        return self.apply_delta({**snapshot, "text": thoughts}, reasoning=True) or changed

    def remove(self, message_id: str) -> None:
        """Remove a reply whose message is stored."""
        self.by_id.pop(message_id, None)
