"""Publications of a repeated command, which a crash between commit and publication may have lost. No I/O."""

from __future__ import annotations

from persistence_worker.domain.rules.replies import open_turn
from persistence_worker.domain.state import SessionState
from persistence_worker.domain.unit_of_work import UnitOfWork
from shared.contracts.commands import (
    AcceptInvite,
    AddChatbot,
    LeaveSession,
    RemoveChatbot,
    RemoveUser,
    StopReply,
    UpdateSession,
)
from shared.contracts.envelope import Received
from shared.contracts.events import SessionDeleted
from shared.contracts.payload import Payload


def republish(work: UnitOfWork, session: SessionState, command: Payload, envelope: Received) -> None:
    """Republish the effect of the command on the session, its members or a turn, as far as it still applies."""
    if isinstance(command, StopReply):
        turn = open_turn(session, command.message_id)
        if turn is not None:
            work.stop_turn(turn)
    if session.deleted_at is not None:
        work.deliver(SessionDeleted(session_id=session.id, users=list(session.users), whole=True), envelope)
        return
    if isinstance(command, (LeaveSession, RemoveUser)):
        left = command.removed_id if isinstance(command, RemoveUser) else command.user_id
        if left not in session.users:
            deleted = SessionDeleted(session_id=session.id, users=[left], whole=False, seq=session.seq)
            work.deliver(deleted, envelope)
    if isinstance(command, (UpdateSession, AddChatbot, RemoveChatbot, AcceptInvite, LeaveSession, RemoveUser)):
        work.deliver_session(session, envelope)
