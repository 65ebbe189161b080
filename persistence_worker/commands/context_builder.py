"""Builds the contexts of turns, inside the transaction that publishes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import Connection

from persistence_worker.domain.catalogue import Catalogue
from persistence_worker.domain.context import (
    Context,
    ContextRow,
    Contexts,
    context_end,
    context_messages,
    missing_rows,
    row_of,
)
from persistence_worker.domain.state import Turn
from persistence_worker.domain.unit_of_work import TurnStart
from persistence_worker.storage.catalogue_store import load_catalogue
from persistence_worker.storage.session_reader import SessionReader
from persistence_worker.storage.summary_store import SummaryStore
from shared.contracts.events import ContextWanted
from shared.contracts.turns import Summary
from shared.contracts.views import Message


class ContextBuilder:
    """Reads messages and summaries of sessions for chatbots of the catalogue."""

    def __init__(self, reader: SessionReader, summaries: SummaryStore, catalogue: Catalogue) -> None:
        self._reader = reader
        self._summaries = summaries
        self._catalogue = catalogue

    def build(
        self, connection: Connection, starts: Sequence[TurnStart], new_messages: Sequence[Message] = ()
    ) -> Contexts:
        """Return the contexts of turns, from `new_messages` of this transaction and one read for all other messages."""
        if any(self._catalogue.card(start.turn.chatbot_id) is None for start in starts):
            self._catalogue.replace(load_catalogue(connection))  # another worker may have stored a newer one
        turns = [
            (start.turn, card.context) for start in starts if (card := self._catalogue.card(start.turn.chatbot_id))
        ]
        # Summaries are read first: a change between the two reads makes a summary outdated, not a context incomplete.
        summaries = self._read_summaries(connection, turns)
        in_memory = _rows(new_messages, {turn.session_id for turn, _ in turns})
        ranges = [missing_rows(turn, in_memory.get(turn.session_id, []), wanted) for turn, wanted in turns]
        read = iter(self._reader.context_rows(connection, [each for of_turn in ranges for each in of_turn]))
        contexts: dict[UUID, Context] = {}
        for (turn, wanted), of_turn in zip(turns, ranges, strict=True):
            rows = in_memory.get(turn.session_id, []) + [row for _ in of_turn for row in next(read)]
            as_of, summary = summaries.get(turn.id, (0, None))
            contexts[turn.id] = Context(context_messages(turn, rows, wanted, summary), as_of, summary)
        return contexts

    def _read_summaries(
        self, connection: Connection, turns: Sequence[tuple[Turn, ContextWanted]]
    ) -> Mapping[UUID, tuple[int, Summary | None]]:
        """Return the session's newest number and the summary, by turn, for chatbots that want summaries.

        A turn has no entry if the summary covers messages that it must not see (it regenerates an old reply). The
        chatbot worker makes no further summary of such a turn.
        """
        wanting = [turn for turn, wanted in turns if wanted.summary]
        if not wanting:
            return {}
        found = self._summaries.of_sessions(connection, {turn.session_id for turn in wanting})
        by_turn: dict[UUID, tuple[int, Summary | None]] = {}
        for turn in wanting:
            as_of, summaries = found[turn.session_id]
            summary = summaries.get(turn.chatbot_id)
            if summary is None or summary.up_to_seq < context_end(turn):
                by_turn[turn.id] = as_of, summary
        return by_turn


def _rows(messages: Sequence[Message], session_ids: set[UUID]) -> dict[UUID, list[ContextRow]]:
    rows: dict[UUID, list[ContextRow]] = {}
    for message in messages:
        if message.session_id in session_ids and message.superseded_by is None:
            rows.setdefault(message.session_id, []).append(row_of(message))
    return rows
