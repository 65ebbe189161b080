"""Rules of the commands on invites, memberships and read marks. No I/O."""

from __future__ import annotations

from persistence_worker.domain.rules.access import joined_session, owned_session, session_result
from persistence_worker.domain.rules.sessions import make_tombstone
from persistence_worker.domain.state import Invite, SessionState
from persistence_worker.domain.unit_of_work import UnitOfWork
from shared.contracts.commands import AcceptInvite, CreateInvite, LeaveSession, MarkRead, RemoveUser
from shared.contracts.envelope import Received
from shared.contracts.events import ReadMarked, SessionDeleted
from shared.contracts.payload import parse_rfc3339
from shared.contracts.queries import Nothing, SessionResult
from shared.errors import Conflict, NotFound

NO_INVITE = "This invite is not valid, or not valid any more."


def create_invite(work: UnitOfWork, command: CreateInvite, _envelope: Received) -> Nothing:
    """Store an invite under the hash of its secret, by the owner."""
    session = owned_session(work, command)
    if command.invite_hash not in work.loaded.invites:
        invite = Invite(command.invite_hash, session.id, parse_rfc3339(command.expires_at), command.max_uses)
        work.loaded.invites[invite.hash] = work.writes.invites[invite.hash] = invite
    return Nothing()


def accept_invite(work: UnitOfWork, command: AcceptInvite, envelope: Received) -> SessionResult:
    """Make the user a member, and count a use of the invite. A member needs no invite and uses none."""
    session = work.loaded.sessions.get(command.session_id)
    if session is None or session.deleted_at is not None:
        raise NotFound(NO_INVITE)
    if command.user_id in session.users:
        return session_result(work, session)
    invite = work.loaded.invites.get(command.invite_hash)
    if invite is None or not _is_open(invite, session, work) or command.user_id in work.loaded.erased_users:
        raise NotFound(NO_INVITE)
    if len(session.users) >= work.limits.users:
        raise Conflict(f"A session holds at most {work.limits.users} users.")
    invite.uses += 1
    work.writes.invites[invite.hash] = invite
    session.seq = session.next_seq(work.now)
    _join(work, session, command.user_id)
    work.deliver_session(session, envelope)
    return session_result(work, session)


def _is_open(invite: Invite, session: SessionState, work: UnitOfWork) -> bool:
    if invite.session_id != session.id or invite.ended or invite.expires_at <= work.now:
        return False
    return invite.max_uses is None or invite.uses < invite.max_uses


def _join(work: UnitOfWork, session: SessionState, user_id: str) -> None:
    joined_at = session.updated_at  # never before that of another member, even if a worker's clock is slow
    place = len(session.users)
    while place and work.writes.joined.get((session.id, session.users[place - 1])) == joined_at:
        if session.users[place - 1] < user_id:
            break
        place -= 1  # the order in which the database returns members who joined at the same time
    session.users.insert(place, user_id)
    work.writes.joined[session.id, user_id] = joined_at


def leave(work: UnitOfWork, command: LeaveSession, envelope: Received) -> Nothing:
    """End the user's membership. The member after a leaving owner becomes owner; the last one deletes the session."""
    end_membership(work, joined_session(work, command), command.user_id, envelope)
    return Nothing()


def remove_user(work: UnitOfWork, command: RemoveUser, envelope: Received) -> SessionResult:
    """Remove a member, by the owner. All open invites end too, so that the removed user cannot join again."""
    session = owned_session(work, command)
    if command.removed_id == command.user_id:
        raise Conflict("You cannot remove yourself; leave the session instead.")
    if command.removed_id not in session.users:
        return session_result(work, session)
    work.writes.ended_invites.add(session.id)
    for invite in work.loaded.invites.values():
        if invite.session_id == session.id:
            invite.ended = True
    end_membership(work, session, command.removed_id, envelope)
    return session_result(work, session)


def end_membership(work: UnitOfWork, session: SessionState, user_id: str, envelope: Received) -> None:
    """End a membership, and delete the session if it was the last one."""
    if session.users == [user_id]:
        make_tombstone(work, session, envelope)
        return
    session.users.remove(user_id)
    work.writes.joined.pop((session.id, user_id), None)
    for marks in (work.loaded.read_marks, work.writes.read_marks):
        marks.pop((session.id, user_id), None)
    work.writes.left.add((session.id, user_id))
    if session.owner_id == user_id:
        session.owner_id = session.users[0]
        work.writes.sessions.add(session.id)
    work.change_session(session, envelope)
    work.deliver(SessionDeleted(session_id=session.id, users=[user_id], whole=False, seq=session.seq), envelope)


def mark_read(work: UnitOfWork, command: MarkRead, envelope: Received) -> Nothing:
    """Raise the user's read mark, at most to the session's newest number."""
    session = joined_session(work, command)
    key = (session.id, command.user_id)
    seq = min(command.seq, session.last_seq)
    if seq > work.loaded.read_marks.get(key, 0):
        work.loaded.read_marks[key] = work.writes.read_marks[key] = seq
        work.deliver(ReadMarked(session_id=session.id, user_id=command.user_id, seq=seq), envelope)
    return Nothing()
