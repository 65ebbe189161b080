"""Keeping what a chatbot's language model made of a session's past: the rule of `SummarizeSession`. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from persistence_worker.domain.unit_of_work import Work
from shared.contracts.commands import SummarizeSession
from shared.contracts.envelope import Received
from shared.contracts.payload import Model, Payload
from shared.contracts.queries import Nothing
from shared.contracts.turns import SUMMARY_MAX, Summary


def keep(work: Work, command: SummarizeSession, received: Received) -> Nothing:
    """The one that reaches furthest, none of what has changed or is no more. It takes no number: nobody sees it."""
    session = work.loaded.sessions.get(command.session_id)
    if session is None or session.deleted_at is not None or received.id in work.loaded.outdated:
        return Nothing()
    key = (session.id, command.chatbot_id)
    held = work.writes.summaries.get(key)
    if command.chatbot_id in session.chatbots and (held is None or held.up_to_seq < command.up_to_seq):
        text = command.text.replace("\x00", "")[:SUMMARY_MAX]
        work.writes.summaries[key] = Summary(up_to_seq=command.up_to_seq, text=text)
    return Nothing()


RULES: dict[type[Payload], Callable[[Work, Any, Received], Model]] = {SummarizeSession: keep}

UNKEPT: frozenset[type[Payload]] = frozenset({SummarizeSession})
