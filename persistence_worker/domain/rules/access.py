"""Membership and ownership, which most rules check first. No I/O."""

from __future__ import annotations

from typing import Any

from persistence_worker.domain import views
from persistence_worker.domain.state import Access, SessionState
from persistence_worker.domain.unit_of_work import UnitOfWork
from shared.contracts.commands import DeleteSession, UpdateSession
from shared.contracts.queries import SessionResult
from shared.contracts.scopes import may_act_in_all, may_chat, may_read_all
from shared.errors import Conflict, Forbidden, NotFound

NO_SESSION = "There is no such session."
NO_MEMBER = "The scopes of this service do not allow it in this session."
OWNER_ONLY = "Only the owner of the session may do this."


def present_session(work: UnitOfWork, command: Any) -> SessionState:
    """Return the session of a command.

    Raises:
        NotFound: the session is missing or deleted.
    """
    session = work.loaded.sessions.get(command.session_id)
    if session is None or session.deleted_at is not None:
        raise NotFound(NO_SESSION)
    return session


def joined_session(work: UnitOfWork, command: Any) -> SessionState:
    """Return the session of a command.

    Raises:
        NotFound: the session is missing or deleted, or the user is not a member; clients get the same answer.
        Forbidden: a service may read the session, but is no member.
    """
    session = present_session(work, command)
    if command.user_id in session.users:
        return session
    if may_read_all(command.scopes):
        raise Forbidden(NO_MEMBER)
    raise NotFound(NO_SESSION)


def writable_session(work: UnitOfWork, command: Any, what: str) -> SessionState:
    """Return the session of a command of a member, or of a service that may write in every session.

    What a service does in a session of which it is no member is recorded as `what`.

    Raises:
        NotFound: as `joined_session`.
        Forbidden: the service may only read the session.
    """
    if not may_act_in_all(command.scopes):
        session = joined_session(work, command)
        if not may_chat(command.scopes):
            raise Forbidden(NO_MEMBER)
        return session
    session = present_session(work, command)
    if command.user_id not in session.users:
        work.writes.accesses.append(Access(command.user_id, session.id, what))
    return session


def owned_session(work: UnitOfWork, command: Any) -> SessionState:
    """Return the session of a command of its owner.

    Raises:
        NotFound: as `joined_session`.
        Forbidden: the user is a member, but not the owner.
    """
    session = joined_session(work, command)
    if session.owner_id != command.user_id:
        raise Forbidden(OWNER_ONLY)
    return session


def check_number(session: SessionState, command: UpdateSession | DeleteSession) -> None:
    """Check the condition of a change on the session's own number.

    Raises:
        Conflict: the session has changed.
    """
    if command.if_seq is not None and session.seq not in command.if_seq:
        raise Conflict("The session has changed; read it again.")


def session_result(work: UnitOfWork, session: SessionState) -> SessionResult:
    """Return the present state of a session as an answer."""
    return SessionResult(session=views.session(session, work.catalogue))
