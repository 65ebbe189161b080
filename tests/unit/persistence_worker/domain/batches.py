"""Builds loaded state in memory, and applies commands to it: `Loaded` -> `CommandBatch` -> assert."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from persistence_worker.domain.catalogue import Catalogue, Listed
from persistence_worker.domain.command_batch import CommandBatch
from persistence_worker.domain.state import Loaded, SessionState, Turn
from persistence_worker.domain.unit_of_work import Limits
from shared.contracts.events import MessageRejected, MessageStored, MessageUpdated
from shared.contracts.payload import Payload, rfc3339
from shared.contracts.views import Message
from tests.support.commands import ADA, NOON, card, received

P = TypeVar("P", bound=Payload)

NOW = NOON + timedelta(minutes=5)
CHATBOTS = ("echo", "eliza", "third")


def session(
    users: Sequence[str] = (ADA, "bob"), chatbots: Sequence[str] = ("echo",), last_seq: int = 0, **more: Any
) -> SessionState:
    """Return a stored session whose first user is its owner."""
    fields = {"reply_policy": "mentioned", "title": "A title", "deleted_at": None, "turns": {}} | more
    return SessionState(
        id=uuid4(),
        titled_by=ADA,
        owner_id=users[0],
        rotation=fields.pop("rotation", 0),
        seq=0,
        last_seq=last_seq,
        created_at=NOON,
        updated_at=NOON,
        users=list(users),
        chatbots=list(chatbots),
        **fields,
    )


def message(of: SessionState, seq: int, sender: str = ADA, content: str = "hello", **more: Any) -> Message:
    """Return a stored message of a user, or of a chatbot if `sender` is one."""
    kind = "chatbot" if sender in CHATBOTS else "user"
    fields = {"id": uuid4(), "updated_seq": seq, "created_at": rfc3339(NOON)} | more
    return Message(session_id=of.id, seq=seq, sender_type=kind, sender_id=sender, content=content, **fields)


def turn(of: SessionState, chatbot: str = "echo", number: int = 1, *, is_open: bool = True, **more: Any) -> Turn:
    """Return a turn that answers the message with this number; add it to the session if it is open."""
    fields = {"id": uuid4(), "asked": [[number, number]], "published_at": NOW, "reply_to": uuid4()} | more
    found = Turn(session_id=of.id, chatbot_id=chatbot, waiting=[], waiting_reply_to=None, starts=1, **fields)
    if is_open:
        of.turns[chatbot] = found
    return found


def batch(
    *sessions: SessionState,
    chatbots: Sequence[str] = CHATBOTS,
    limits: Limits | None = None,
    now: datetime = NOW,
    messages: Sequence[Message] = (),
    **loaded: Any,
) -> CommandBatch:
    """Return a batch that has loaded these sessions and messages; `loaded` are other fields of `Loaded`."""
    catalogue = Catalogue()
    cards = [card(chatbot, default=chatbot == "echo") for chatbot in chatbots]
    catalogue.replace(Listed(each, available=True, modified_at=NOON) for each in cards)
    state = Loaded(
        sessions={each.id: each for each in sessions},
        message_sessions={each.id: each.session_id for each in messages},
        messages={each.id: each for each in messages},
        **loaded,
    )
    return CommandBatch(state, catalogue, limits or Limits(chatbots=3, users=3), now)


def apply(work: CommandBatch, *commands: Any, redelivered: bool = False) -> CommandBatch:
    """Apply commands as the bus delivers them, and republish what repetitions call for."""
    for command in commands:
        work.apply(received(command, redelivered=redelivered))
    work.republish()
    return work


def outcome(work: CommandBatch) -> Any:
    """Return the result of the last answered command, or the code of its error."""
    reply = work.answers[-1][1]
    return reply.error.code if reply.error is not None else reply.result


def events(work: CommandBatch, kind: type[P]) -> list[P]:
    """Return the delivered payloads of a type."""
    return [payload for payload, _ in work.deliveries if isinstance(payload, kind)]


def stored(work: CommandBatch) -> list[Message]:
    """Return the messages of all `MessageStored`, in order."""
    return [event.message for event in events(work, MessageStored)]


def changed(work: CommandBatch) -> list[Message]:
    """Return the messages of all `MessageUpdated`, in order."""
    return [event.message for event in events(work, MessageUpdated)]


def rejected(work: CommandBatch) -> list[tuple[UUID, str]]:
    """Return message id and code of all rejections."""
    return [(event.message_id, event.code) for event in events(work, MessageRejected)]


def asked(work: CommandBatch) -> dict[str, list[list[int]]]:
    """Return the numbers that each published turn answers, by chatbot."""
    return {start.turn.chatbot_id: start.turn.asked for start in work.turn_starts}


def unchanged(work: CommandBatch) -> bool:
    """Whether the batch changes and publishes nothing."""
    changes = (work.new_messages, work.changed_turns, work.deliveries, work.turn_starts, work.turn_stops)
    return not any(changes) and not any(each.changed for each in work.loaded.sessions.values())
