"""Rules of the commands that create, change and delete sessions, or change their chatbots. No I/O."""

from __future__ import annotations

from datetime import timedelta

from persistence_worker.domain import views
from persistence_worker.domain.rules.access import (
    NO_SESSION,
    OWNER_ONLY,
    check_number,
    joined_session,
    owned_session,
    session_result,
)
from persistence_worker.domain.state import Access, SessionState, Turn
from persistence_worker.domain.unit_of_work import UnitOfWork
from shared.contracts.commands import AddChatbot, DeleteSession, RemoveChatbot, StartSession, UpdateSession
from shared.contracts.envelope import Received
from shared.contracts.events import SessionDeleted, SessionUpdated
from shared.contracts.payload import parse_rfc3339
from shared.contracts.queries import Nothing, SessionResult, StartResult
from shared.contracts.scopes import CHAT, SESSIONS, may_act_in_all, may_chat
from shared.errors import Conflict, Forbidden, NotFound, Unavailable

NO_ACCOUNT = "There is no such account."
NO_CHATBOT = "There is no such chatbot."
NO_CATALOGUE = "No chatbot has announced itself yet."
CATALOGUE_RETRY = 2.0  # seconds


def start(work: UnitOfWork, command: StartSession, envelope: Received) -> StartResult:
    """Create a session, or answer with the existing one that has this id."""
    for_others = command.users is not None
    if for_others and not may_act_in_all(command.scopes):
        raise Forbidden(f"The scope `{SESSIONS}` is required to start a session for others.")
    if not for_others and not may_chat(command.scopes):
        raise Forbidden(f"The scope `{CHAT}` was not granted.")
    session = work.loaded.sessions.get(command.session_id)
    if session is None:
        return StartResult(session=views.session(_create(work, command, envelope), work.catalogue), created=True)
    # The id of a repetition is derived from the sender, so that no other service can have started the session.
    if session.deleted_at is not None or (command.user_id not in session.users and not for_others):
        raise NotFound(NO_SESSION)
    if for_others:
        work.writes.accesses.append(Access(command.user_id, session.id, "start"))
    work.repeat(session, envelope)
    if envelope.id in work.redelivered:  # a creation has no sequence number, so clients cannot detect its loss
        work.deliver_session(session, envelope)
    return StartResult(session=views.session(session, work.catalogue), created=False)


def _create(work: UnitOfWork, command: StartSession, envelope: Received) -> SessionState:
    users = list(dict.fromkeys(command.users or [command.user_id]))
    if work.loaded.erased_users.intersection(users):
        raise NotFound(NO_SESSION if command.users is None else NO_ACCOUNT)
    if len(users) > work.limits.users:
        raise Conflict(f"A session holds at most {work.limits.users} users.")
    created_at = parse_rfc3339(command.created_at)
    session = SessionState(
        id=command.session_id,
        title=command.title,
        titled_by=None if command.title is None else command.user_id,
        owner_id=users[0],
        reply_policy=command.reply_policy,
        rotation=0,
        seq=0,
        last_seq=0,
        created_at=created_at,
        updated_at=created_at,
        deleted_at=None,
        users=users,
        chatbots=_chosen_chatbots(work, command.chatbot_ids),
        new=True,
    )
    work.loaded.sessions[session.id] = session
    for place, user in enumerate(users):  # the order of the members is that of their times
        work.writes.joined[session.id, user] = created_at + timedelta(milliseconds=place)
    if command.users is not None:
        work.writes.accesses.append(Access(command.user_id, session.id, "start"))
    work.deliver(SessionUpdated(session=views.session(session, work.catalogue)), envelope)
    return session


def _chosen_chatbots(work: UnitOfWork, wanted: list[str] | None) -> list[str]:
    if not work.catalogue.known:
        raise Unavailable(NO_CATALOGUE, retry_after=CATALOGUE_RETRY)
    if wanted is None:
        default = work.catalogue.default
        return [default] if default else []
    chosen = list(dict.fromkeys(wanted))
    if any(work.catalogue.card(chatbot) is None for chatbot in chosen):
        raise NotFound(NO_CHATBOT)
    if len(chosen) > work.limits.chatbots:
        raise Conflict(_too_many_chatbots(work))
    return chosen


def update(work: UnitOfWork, command: UpdateSession, envelope: Received) -> SessionResult:
    """Change the title (any member) or the reply policy (the owner); without a change no number is taken."""
    session = joined_session(work, command)
    if command.reply_policy is not None and session.owner_id != command.user_id:
        raise Forbidden(OWNER_ONLY)
    check_number(session, command)
    title = session.title if command.title is None else command.title
    policy = session.reply_policy if command.reply_policy is None else command.reply_policy
    if title == session.title and policy == session.reply_policy:
        return session_result(work, session)
    if title != session.title:
        session.title, session.titled_by = title, command.user_id
    if policy != session.reply_policy:
        session.reply_policy = policy
        work.writes.sessions.add(session.id)
    work.change_session(session, envelope)
    return session_result(work, session)


def delete(work: UnitOfWork, command: DeleteSession, envelope: Received) -> Nothing:
    """Delete a session for all its members, by the owner."""
    session = owned_session(work, command)
    check_number(session, command)
    make_tombstone(work, session, envelope)
    return Nothing()


def make_tombstone(work: UnitOfWork, session: SessionState, envelope: Received) -> None:
    """Delete a session. Its row stays as a tombstone; its open turns end without a reply."""
    for turn in list(session.turns.values()):
        work.stop_turn(turn)
        work.end_turn(session, turn)
    session.deleted_at = work.now
    session.title = session.titled_by = None
    session.changed = True
    work.writes.sessions.add(session.id)
    work.deliver(SessionDeleted(session_id=session.id, users=list(session.users), whole=True), envelope)


def add_chatbot(work: UnitOfWork, command: AddChatbot, envelope: Received) -> SessionResult:
    """Add a chatbot of the catalogue, by the owner; one that the session has already changes nothing."""
    session = owned_session(work, command)
    if command.chatbot_id in session.chatbots:
        return session_result(work, session)
    if not work.catalogue.known:
        raise Unavailable(retry_after=CATALOGUE_RETRY)
    if work.catalogue.card(command.chatbot_id) is None:
        raise NotFound(NO_CHATBOT)
    if len(session.chatbots) >= work.limits.chatbots:
        raise Conflict(_too_many_chatbots(work))
    session.chatbots.append(command.chatbot_id)
    work.writes.chatbots.add(session.id)
    work.change_session(session, envelope)
    return session_result(work, session)


def remove_chatbot(work: UnitOfWork, command: RemoveChatbot, envelope: Received) -> SessionResult:
    """Remove a chatbot, by the owner. The replies that it owes are stored as stopped, without text."""
    session = owned_session(work, command)
    if command.chatbot_id not in session.chatbots:
        return session_result(work, session)
    turn = session.turns.get(command.chatbot_id)
    if turn is not None:
        _stop_all_turns(work, session, turn, envelope)
    session.chatbots.remove(command.chatbot_id)
    work.writes.chatbots.add(session.id)
    work.change_session(session, envelope)
    return session_result(work, session)


def _stop_all_turns(work: UnitOfWork, session: SessionState, turn: Turn, envelope: Received) -> None:
    """Stop a turn and the one that would follow it."""
    if turn.waiting_id is None:
        work.store_stopped_reply(session, turn, envelope, reply_to=turn.waiting_reply_to or turn.reply_to)
        work.end_turn(session, turn)
        return
    work.store_stopped_reply(session, turn, envelope, reply_to=turn.reply_to)
    work.close_turn(session, turn, envelope)
    following = session.turns[turn.chatbot_id]  # a superseded reply refers to its id, so it needs a message too
    work.store_stopped_reply(session, following, envelope, reply_to=following.reply_to)
    work.end_turn(session, following)


def _too_many_chatbots(work: UnitOfWork) -> str:
    return f"A session holds at most {work.limits.chatbots} chatbots."
