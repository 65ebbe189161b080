"""Sessions as the public contract shows them. No I/O."""

from __future__ import annotations

from msgspec.structs import asdict

from persistence_worker.domain.catalogue import Catalogue
from persistence_worker.domain.state import SessionState
from shared.contracts.payload import rfc3339
from shared.contracts.views import ChatbotRef, OwnSession, Session


def session(state: SessionState, catalogue: Catalogue) -> Session:
    """Return the view of a session that is the same for all members."""
    return Session(
        id=state.id,
        title=state.title,
        owner_id=state.owner_id,
        users=list(state.users),
        chatbots=[ChatbotRef(id=chatbot, name=catalogue.name(chatbot)) for chatbot in state.chatbots],
        reply_policy=state.reply_policy,
        seq=state.seq,
        last_seq=state.last_seq,
        created_at=rfc3339(state.created_at),
        updated_at=rfc3339(state.updated_at),
    )


def own_session(state: SessionState, catalogue: Catalogue, read_seq: int) -> OwnSession:
    """Return the view of a session for one member, with that member's read mark."""
    return OwnSession(**asdict(session(state, catalogue)), read_seq=read_seq)
