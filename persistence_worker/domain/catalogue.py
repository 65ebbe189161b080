"""The catalogue: which chatbots there are, and which there were. Pure; `announcements` brings the news."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.events import ChatbotCard


@dataclass(frozen=True, slots=True)
class Listed:
    """A chatbot that is, or (`available` false) was, in the catalogue of `modified_at`."""

    card: ChatbotCard
    available: bool
    modified_at: datetime


class Catalogue:
    """All chatbots that any catalogue has named, in the catalogue's order."""

    def __init__(self) -> None:
        self._listed: dict[str, Listed] = {}

    def replace(self, listed: Iterable[Listed]) -> None:
        """Take what the database holds."""
        self._listed = {entry.card.id: entry for entry in listed}

    @property
    def known(self) -> bool:
        """Whether any catalogue was ever announced."""
        return bool(self._listed)

    @property
    def cards(self) -> list[ChatbotCard]:
        """The chatbots there are."""
        return [entry.card for entry in self._listed.values() if entry.available]

    @property
    def default(self) -> str | None:
        """The chatbot of a session that names none: the one marked, else the first."""
        cards = self.cards
        return next((card.id for card in cards if card.default), cards[0].id if cards else None)

    def card(self, chatbot_id: str) -> ChatbotCard | None:
        """A chatbot there is."""
        entry = self._listed.get(chatbot_id)
        return entry.card if entry and entry.available else None

    def name(self, chatbot_id: str) -> str:
        """What a chatbot is or was called."""
        entry = self._listed.get(chatbot_id)
        return entry.card.name if entry else chatbot_id
