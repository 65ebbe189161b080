"""The chatbots of a catalogue as they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chatbot_worker.catalogue.entries import ChatbotEntry
from chatbot_worker.chatbots.protocol import Chatbot
from chatbot_worker.rules.limits import Limits
from chatbot_worker.rules.window import Bounds
from shared.contracts.events import ChatbotCard, ChatbotsAnnounced


@dataclass(frozen=True, slots=True)
class Definition:
    """A chatbot as it runs. `entry` is what the catalogue says of it; `instant`: it answers without any pause.

    `bounds`: of what it is shown of what a turn brings.
    """

    entry: ChatbotEntry
    card: ChatbotCard
    chatbot: Chatbot
    concurrency: int
    bounds: Bounds

    @property
    def id(self) -> str:
        """Its id in the catalogue."""
        return self.entry.id

    @property
    def limits(self) -> Limits:
        """How long it may take."""
        return self.entry.limits

    @property
    def delta_interval(self) -> float:
        """Seconds between two pieces of a reply."""
        return self.entry.delta_interval


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All chatbots, exactly one of them the default."""

    definitions: Sequence[Definition]
    modified_at: datetime

    def announcement(self) -> ChatbotsAnnounced:
        """What persistence is told."""
        return ChatbotsAnnounced(chatbots=[d.card for d in self.definitions], modified_at=self.modified_at)

    def after(self, other: Catalogue) -> Catalogue:
        """The same, dated later than `other`, for the newest wins: a file put in place may be older than the last."""
        return replace(self, modified_at=max(self.modified_at, other.modified_at + timedelta(milliseconds=1)))
