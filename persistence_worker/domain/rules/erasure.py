"""Erasing what a deleted account wrote in one session: the rule of `EraseAuthor`. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from persistence_worker.domain.rules import sessions
from persistence_worker.domain.unit_of_work import Work
from shared.contracts.commands import EraseAuthor
from shared.contracts.envelope import Received
from shared.contracts.payload import Model, Payload
from shared.contracts.queries import Nothing


def erase(work: Work, command: EraseAuthor, received: Received) -> Nothing:
    """Membership first, so that nothing can follow; then message after message, each under its own number.

    What is left over is asked for by a further command, so that no transaction grows with a session.
    """
    session = work.loaded.sessions.get(command.session_id)
    if session is None:
        return Nothing()
    work.writes.forgotten.add((session.id, command.user_id))
    if session.deleted_at is None and command.user_id in session.users:
        sessions.part(work, session, command.user_id, received)
    if session.deleted_at is not None:
        return Nothing()  # the words go with the session
    if session.titled_by == command.user_id:
        session.title = session.titled_by = None
        work.number(session, received)
    for message in work.loaded.history.messages:
        work.change(session, message, received, content="", status="erased", client_message_id=None)
    if work.loaded.history.more is None:
        work.writes.erased.add((session.id, command.user_id))
    else:
        work.further.append(command.model_copy(update={"after_seq": work.loaded.history.more}))
    return Nothing()


RULES: dict[type[Payload], Callable[[Work, Any, Received], Model]] = {EraseAuthor: erase}

UNKEPT: frozenset[type[Payload]] = frozenset({EraseAuthor})

ALONE: frozenset[type[Payload]] = frozenset({EraseAuthor})
