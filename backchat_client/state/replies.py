"""The texts of active replies (contract.md §3.7, `message_delta`). Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from backchat_client.wire import Payload

NO_ATTEMPT = -1  # below every attempt: no text of this reply has arrived


@dataclass(slots=True)
class Reply:
    """An active reply. `len(text)` counts code points, as `offset` does."""

    message_id: str
    chatbot_id: str
    attempt: int = NO_ATTEMPT
    text: str = ""


class ActiveReplies:
    """The active replies of one session, by message id."""

    def __init__(self) -> None:
        self.by_id: dict[str, Reply] = {}

    def apply_delta(self, delta: Payload) -> bool:
        """Apply a `message_delta` of a message that is not stored yet; return whether anything changed."""
        message_id: str = delta["message_id"]
        attempt: int = delta["attempt"]
        reply = self.by_id.get(message_id) or Reply(message_id, delta["chatbot_id"])
        if attempt < reply.attempt:
            return False
        changed = attempt > reply.attempt
        if changed:  # a new attempt discards the text of the previous one, whatever this delta holds
            reply.attempt, reply.text = attempt, ""
            self.by_id[message_id] = reply
        if delta["snapshot"]:
            changed |= reply.text != delta["text"]
            reply.text = delta["text"]
        elif delta["offset"] == len(reply.text):
            changed |= bool(delta["text"])
            reply.text += delta["text"]
        return changed

    def apply_join(self, under_way: Iterable[Payload], stored: Container[str]) -> list[Reply]:
        """Apply the `active_replies` of a complete join; those omitted have ended. Return what changed."""
        listed = [reply for reply in under_way if reply["message_id"] not in stored]
        ids = {reply["message_id"] for reply in listed}
        for message_id in [known for known in self.by_id if known not in ids]:
            del self.by_id[message_id]
        # The gateway may know less than this client (attempt 0); a lower attempt changes nothing.
        return [self.by_id[r["message_id"]] for r in listed if self.apply_delta({**r, "offset": 0, "snapshot": True})]

    def remove(self, message_id: str) -> None:
        """Remove a reply whose message is stored."""
        self.by_id.pop(message_id, None)
