"""The validated chatbots of a catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chatbot_worker.catalogue.entries import ChatbotEntry
from chatbot_worker.chatbots.protocol import Chatbot
from chatbot_worker.rules.limits import Limits
from chatbot_worker.rules.window import Bounds
from shared.contracts.events import ChatbotCard, ChatbotsAnnounced
from shared.contracts.payload import rfc3339


@dataclass(frozen=True, slots=True)
class Definition:
    """A chatbot of the catalogue.

    Attributes:
        entry: its entry in the file.
        card: what is announced of it.
        chatbot: the object that writes its replies.
        concurrency: turns at the same time in one worker.
        bounds: of its context window.
    """

    entry: ChatbotEntry
    card: ChatbotCard
    chatbot: Chatbot
    concurrency: int
    bounds: Bounds

    @property
    def id(self) -> str:
        """The chatbot's id."""
        return self.entry.id

    @property
    def limits(self) -> Limits:
        """The limits of its replies."""
        return self.entry.limits

    @property
    def delta_interval(self) -> float:
        """Minimum seconds between two deltas of a reply."""
        return self.entry.delta_interval


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All chatbots. Exactly one is the default."""

    definitions: Sequence[Definition]
    modified_at: datetime

    def announcement(self) -> ChatbotsAnnounced:
        """Return the announcement for persistence."""
        return ChatbotsAnnounced(chatbots=[d.card for d in self.definitions], modified_at=rfc3339(self.modified_at))

    def after(self, other: Catalogue) -> Catalogue:
        """Return this catalogue with a later date than `other`, because persistence keeps the newest."""
        return replace(self, modified_at=max(self.modified_at, other.modified_at + timedelta(milliseconds=1)))
