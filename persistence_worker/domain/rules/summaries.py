"""The rule of `SummarizeSession`: store a chatbot's summary of a session's older messages. No I/O."""

from __future__ import annotations

from persistence_worker.domain.unit_of_work import UnitOfWork
from shared.contracts.commands import SummarizeSession
from shared.contracts.envelope import Received
from shared.contracts.queries import Nothing
from shared.contracts.turns import SUMMARY_MAX, Summary


def summarize(work: UnitOfWork, command: SummarizeSession, envelope: Received) -> Nothing:
    """Store the summary that covers most messages. It takes no sequence number, because clients do not see it.

    A summary of messages that have changed since, or of a chatbot that was removed, is dropped.
    """
    session = work.loaded.sessions.get(command.session_id)
    if session is None or session.deleted_at is not None or envelope.id in work.loaded.outdated:
        return Nothing()
    key = (session.id, command.chatbot_id)
    stored = work.writes.summaries.get(key)
    if command.chatbot_id in session.chatbots and (stored is None or stored.up_to_seq < command.up_to_seq):
        text = command.text.replace("\x00", "")[:SUMMARY_MAX]
        work.writes.summaries[key] = Summary(up_to_seq=command.up_to_seq, text=text)
    return Nothing()
