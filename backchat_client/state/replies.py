"""The texts of replies under way (contract §3, `message_delta`). Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from backchat_client.wire import Payload

UNHEARD = -1  # below every attempt: of a reply that nothing is known of


@dataclass(slots=True)
class Reply:
    """A reply under way. `len(text)` counts code points, as `offset` does."""

    message_id: str
    chatbot_id: str
    attempt: int = UNHEARD
    text: str = ""


class ActiveReplies:
    """The replies of one session that are under way, by message id."""

    def __init__(self) -> None:
        self.by_id: dict[str, Reply] = {}

    def piece(self, delta: Payload) -> bool:
        """Apply a `message_delta` of a message that is not stored yet; whether anything changed."""
        message_id: str = delta["message_id"]
        attempt: int = delta["attempt"]
        reply = self.by_id.get(message_id) or Reply(message_id, delta["chatbot_id"])
        if attempt < reply.attempt:
            return False
        changed = attempt > reply.attempt
        if changed:  # begun anew, whatever this piece is: the text of the attempt before is void
            reply.attempt, reply.text = attempt, ""
            self.by_id[message_id] = reply
        if delta["snapshot"]:
            changed |= reply.text != delta["text"]
            reply.text = delta["text"]
        elif delta["offset"] == len(reply.text):
            changed |= bool(delta["text"])
            reply.text += delta["text"]
        return changed

    def joined(self, under_way: Iterable[Payload], stored: Container[str]) -> list[Reply]:
        """Apply the `active_replies` of a join that is complete; those whose text changed. What it omits has ended."""
        listed = [reply for reply in under_way if reply["message_id"] not in stored]
        ids = {reply["message_id"] for reply in listed}
        for message_id in [known for known in self.by_id if known not in ids]:
            del self.by_id[message_id]
        # The gateway may have seen less than we have (attempt 0): then a lower attempt changes nothing.
        return [self.by_id[r["message_id"]] for r in listed if self.piece({**r, "offset": 0, "snapshot": True})]

    def ended(self, message_id: str) -> None:
        """Its message is stored."""
        self.by_id.pop(message_id, None)
