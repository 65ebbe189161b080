"""Sessions and who takes part in them: the rules of the commands that change either. No I/O.

A rule answers, or raises a `BackchatError` before it has changed anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from persistence_worker.domain import views
from persistence_worker.domain.state import Invite, SessionState, Turn
from persistence_worker.domain.unit_of_work import Work
from shared.contracts.commands import (
    AcceptInvite,
    AddChatbot,
    CreateInvite,
    DeleteSession,
    EraseAuthor,
    LeaveSession,
    MarkRead,
    RemoveChatbot,
    RemoveUser,
    UpdateSession,
)
from shared.contracts.envelope import Received
from shared.contracts.events import ReadMarked, SessionDeleted
from shared.contracts.payload import Model, Payload
from shared.contracts.queries import Nothing, SessionResult
from shared.errors import Conflict, Forbidden, NotFound, Unavailable

NO_SESSION = "There is no such session."
NO_CHATBOT = "There is no such chatbot."
NO_INVITE = "This invite is not valid, or not valid any more."
OWNER_ONLY = "Only the owner of the session may do this."


def own(work: Work, command: Any) -> SessionState:
    """The command's session, if its user owns it.

    Raises:
        NotFound, Forbidden: not a member; a member only.
    """
    session = joined(work, command)
    if session.owner_id != command.user_id:
        raise Forbidden(OWNER_ONLY)
    return session


def joined(work: Work, command: Any) -> SessionState:
    """The command's session, if its user is in it.

    Raises:
        NotFound: missing, deleted or not theirs, which look the same.
    """
    session = work.loaded.sessions.get(command.session_id)
    if session is None or session.deleted_at is not None or command.user_id not in session.users:
        raise NotFound(NO_SESSION)
    return session


def shown(work: Work, session: SessionState) -> SessionResult:
    """The session as it is now."""
    return SessionResult(session=views.session(session, work.catalogue))


def too_many_chatbots(work: Work) -> str:
    """Why no more are taken."""
    return f"A session holds at most {work.limits.chatbots} chatbots."


def update(work: Work, command: UpdateSession, received: Received) -> SessionResult:
    """Title by any member, policy by the owner; what is as it was takes no number."""
    session = joined(work, command)
    if command.reply_policy is not None and session.owner_id != command.user_id:
        raise Forbidden(OWNER_ONLY)
    title = session.title if command.title is None else command.title
    policy = session.reply_policy if command.reply_policy is None else command.reply_policy
    if title == session.title and policy == session.reply_policy:
        return shown(work, session)
    if title != session.title:
        session.title, session.titled_by = title, command.user_id
    if policy != session.reply_policy:
        session.reply_policy = policy
        work.writes.sessions.add(session.id)
    work.number(session, received)
    return shown(work, session)


def delete(work: Work, command: DeleteSession, received: Received) -> Nothing:
    """By the owner, for everybody."""
    bury(work, own(work, command), received)
    return Nothing()


def bury(work: Work, session: SessionState, received: Received) -> None:
    """A tombstone stays; turns end in silence, since nobody is left to be told."""
    for turn in list(session.turns.values()):
        work.stop(turn)
        work.end(session, turn)
    session.deleted_at = work.now
    session.title = session.titled_by = None
    session.changed = True
    work.writes.sessions.add(session.id)
    work.deliver(SessionDeleted(session_id=session.id, users=list(session.users), whole=True), received)


def add_chatbot(work: Work, command: AddChatbot, received: Received) -> SessionResult:
    """One that the catalogue knows; one that is there already changes nothing."""
    session = own(work, command)
    if command.chatbot_id in session.chatbots:
        return shown(work, session)
    if not work.catalogue.known:
        raise Unavailable(retry_after=2.0)
    if work.catalogue.card(command.chatbot_id) is None:
        raise NotFound(NO_CHATBOT)
    if len(session.chatbots) >= work.limits.chatbots:
        raise Conflict(too_many_chatbots(work))
    session.chatbots.append(command.chatbot_id)
    work.writes.chatbots.add(session.id)
    work.number(session, received)
    return shown(work, session)


def remove_chatbot(work: Work, command: RemoveChatbot, received: Received) -> SessionResult:
    """What it owes is stored as stopped and empty, for what waited for it too: nothing stays without an answer."""
    session = own(work, command)
    if command.chatbot_id not in session.chatbots:
        return shown(work, session)
    turn = session.turns.get(command.chatbot_id)
    if turn is not None:
        _owe_nothing(work, session, turn, received)
    session.chatbots.remove(command.chatbot_id)
    work.writes.chatbots.add(session.id)
    work.number(session, received)
    return shown(work, session)


def _owe_nothing(work: Work, session: SessionState, turn: Turn, received: Received) -> None:
    if turn.waiting_id is None:
        work.cut(session, turn, received, reply_to=turn.waiting_reply_to or turn.reply_to)
        work.end(session, turn)
        return
    work.cut(session, turn, received, reply_to=turn.reply_to)
    work.close(session, turn, received)
    promised = session.turns[turn.chatbot_id]  # an edited message's old reply names it already
    work.cut(session, promised, received, reply_to=promised.reply_to)
    work.end(session, promised)


def create_invite(work: Work, command: CreateInvite, _received: Received) -> Nothing:
    """Kept by the hash of its secret."""
    session = own(work, command)
    if command.invite_hash not in work.loaded.invites:
        invite = Invite(command.invite_hash, session.id, command.expires_at, command.max_uses)
        work.loaded.invites[invite.hash] = work.writes.invites[invite.hash] = invite
    return Nothing()


def accept_invite(work: Work, command: AcceptInvite, received: Received) -> SessionResult:
    """A member needs none; anybody else uses it up by one."""
    session = work.loaded.sessions.get(command.session_id)
    if session is None or session.deleted_at is not None:
        raise NotFound(NO_INVITE)
    if command.user_id in session.users:
        return shown(work, session)
    invite = work.loaded.invites.get(command.invite_hash)
    if invite is None or not _is_open(invite, session, work) or command.user_id in work.loaded.erased:
        raise NotFound(NO_INVITE)
    if len(session.users) >= work.limits.users:
        raise Conflict(f"A session holds at most {work.limits.users} users.")
    invite.uses += 1
    work.writes.invites[invite.hash] = invite
    session.seq = session.next_seq(work.now)
    _join(work, session, command.user_id)
    work.tell(session, received)
    return shown(work, session)


def _is_open(invite: Invite, session: SessionState, work: Work) -> bool:
    if invite.session_id != session.id or invite.ended or invite.expires_at <= work.now:
        return False
    return invite.max_uses is None or invite.uses < invite.max_uses


def _join(work: Work, session: SessionState, user_id: str) -> None:
    at = session.updated_at  # never before anybody else's, whatever clock a worker has
    place = len(session.users)
    while place and work.writes.joined.get((session.id, session.users[place - 1])) == at:
        if session.users[place - 1] < user_id:
            break
        place -= 1  # the order in which they will be read
    session.users.insert(place, user_id)
    work.writes.joined[session.id, user_id] = at


def leave(work: Work, command: LeaveSession, received: Received) -> Nothing:
    """The owner's leaving passes the session on; the last one's ends it."""
    part(work, joined(work, command), command.user_id, received)
    return Nothing()


def remove_user(work: Work, command: RemoveUser, received: Received) -> SessionResult:
    """By the owner; with it all open invites end, or whoever is shut out could come back."""
    session = own(work, command)
    if command.removed_id == command.user_id:
        raise Conflict("You cannot remove yourself; leave the session instead.")
    if command.removed_id not in session.users:
        return shown(work, session)
    work.writes.uninvited.add(session.id)
    for invite in work.loaded.invites.values():
        if invite.session_id == session.id:
            invite.ended = True
    part(work, session, command.removed_id, received)
    return shown(work, session)


def part(work: Work, session: SessionState, user_id: str, received: Received) -> None:
    """A membership ends."""
    if session.users == [user_id]:
        bury(work, session, received)
        return
    session.users.remove(user_id)
    work.writes.joined.pop((session.id, user_id), None)
    for marks in (work.loaded.read, work.writes.read):
        marks.pop((session.id, user_id), None)
    work.writes.left.add((session.id, user_id))
    if session.owner_id == user_id:
        session.owner_id = session.users[0]
        work.writes.sessions.add(session.id)
    work.number(session, received)
    work.deliver(SessionDeleted(session_id=session.id, users=[user_id], whole=False, seq=session.seq), received)


def mark_read(work: Work, command: MarkRead, received: Received) -> Nothing:
    """It only grows, and never beyond what there is."""
    session = joined(work, command)
    key = (session.id, command.user_id)
    seq = min(command.seq, session.last_seq)
    if seq > work.loaded.read.get(key, 0):
        work.loaded.read[key] = work.writes.read[key] = seq
        work.deliver(ReadMarked(session_id=session.id, user_id=command.user_id, seq=seq), received)
    return Nothing()


def tell_again(work: Work, session: SessionState, command: Payload, received: Received) -> None:
    """After a crash nobody may have heard what a command has done to a session and its members."""
    if session.deleted_at is not None:
        work.deliver(SessionDeleted(session_id=session.id, users=list(session.users), whole=True), received)
        return
    gone = getattr(command, "removed_id", getattr(command, "user_id", None))
    if isinstance(command, (LeaveSession, RemoveUser, EraseAuthor)) and gone not in session.users:
        work.deliver(SessionDeleted(session_id=session.id, users=[str(gone)], whole=False, seq=session.seq), received)
    if isinstance(command, (UpdateSession, AddChatbot, RemoveChatbot, AcceptInvite, LeaveSession, RemoveUser)):
        work.tell(session, received)


RULES: dict[type[Payload], Callable[[Work, Any, Received], Model]] = {
    UpdateSession: update,
    DeleteSession: delete,
    AddChatbot: add_chatbot,
    RemoveChatbot: remove_chatbot,
    CreateInvite: create_invite,
    AcceptInvite: accept_invite,
    LeaveSession: leave,
    RemoveUser: remove_user,
    MarkRead: mark_read,
}

UNKEPT: frozenset[type[Payload]] = frozenset({MarkRead})
