"""The rule of `EraseAuthor`: erase what a deleted user wrote in one session. No I/O."""

from __future__ import annotations

from persistence_worker.domain.rules.members import end_membership
from persistence_worker.domain.unit_of_work import UnitOfWork
from shared.contracts.commands import EraseAuthor
from shared.contracts.envelope import Received
from shared.contracts.queries import Nothing


def erase(work: UnitOfWork, command: EraseAuthor, envelope: Received) -> Nothing:
    """End the membership first, so that no message can follow; then erase the loaded messages.

    A session may have more messages than one transaction should change: a follow-up command erases the rest.
    """
    session = work.loaded.sessions.get(command.session_id)
    if session is None:
        return Nothing()
    work.writes.deleted_ratings.add((session.id, command.user_id))
    if session.deleted_at is None and command.user_id in session.users:
        end_membership(work, session, command.user_id, envelope)
    if session.deleted_at is not None:
        return Nothing()  # the sweep removes the messages of a deleted session
    if session.titled_by == command.user_id:
        session.title = session.titled_by = None
        work.change_session(session, envelope)
    history = work.loaded.history
    for message in history.messages:
        work.change_message(session, message, envelope, content="", status="erased", client_message_id=None)
    if history.more is None:
        work.writes.erased_members.add((session.id, command.user_id))
    else:
        work.follow_ups.append(command.replace(after_seq=history.more))
    return Nothing()
