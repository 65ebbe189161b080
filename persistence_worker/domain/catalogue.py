"""The catalogue of chatbots, as the database has it. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.contracts.events import ChatbotCard


@dataclass(frozen=True, slots=True)
class Listed:
    """A chatbot of the catalogue dated `modified_at`. `available` is false for a chatbot that was removed."""

    card: ChatbotCard
    available: bool
    modified_at: datetime


class Catalogue:
    """All chatbots that any catalogue has listed, in the order of the newest one."""

    def __init__(self) -> None:
        self._listed: dict[str, Listed] = {}

    def replace(self, listed: Iterable[Listed]) -> None:
        """Replace the content by what the database has."""
        self._listed = {entry.card.id: entry for entry in listed}

    @property
    def known(self) -> bool:
        """Whether any catalogue has been announced."""
        return bool(self._listed)

    @property
    def cards(self) -> list[ChatbotCard]:
        """The available chatbots."""
        return [entry.card for entry in self._listed.values() if entry.available]

    @property
    def default(self) -> str | None:
        """The chatbot of a session that names none: the one marked as default, else the first."""
        cards = self.cards
        return next((card.id for card in cards if card.default), cards[0].id if cards else None)

    def card(self, chatbot_id: str) -> ChatbotCard | None:
        """Return the card of an available chatbot."""
        entry = self._listed.get(chatbot_id)
        return entry.card if entry and entry.available else None

    def name(self, chatbot_id: str) -> str:
        """Return the display name of a chatbot, also of one that is not available any more."""
        entry = self._listed.get(chatbot_id)
        return entry.card.name if entry else chatbot_id
