"""The table of rules, and the sets of command types that are treated differently. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from persistence_worker.domain.rules import edits, erasure, members, messages, replies, sessions, summaries
from persistence_worker.domain.unit_of_work import UnitOfWork
from shared.contracts.commands import (
    COMMANDS,
    AcceptInvite,
    AddChatbot,
    CreateInvite,
    DeleteSession,
    EditMessage,
    EraseAuthor,
    FinishReply,
    LeaveSession,
    MarkRead,
    RateReply,
    RegenerateReply,
    RemoveChatbot,
    RemoveUser,
    SendMessage,
    StartSession,
    StopReply,
    SummarizeSession,
    UpdateSession,
)
from shared.contracts.envelope import Received
from shared.contracts.payload import Model, Payload

Rule = Callable[[UnitOfWork, Any, Received], Model | None]
"""Applies a command: returns its answer, `None` if it has none, or raises a `BackchatError` before any change."""

COMMAND_TYPES: dict[str, type[Payload]] = {command.TYPE: command for command in COMMANDS}

RULES: dict[type[Payload], Rule] = {
    StartSession: sessions.start,
    UpdateSession: sessions.update,
    DeleteSession: sessions.delete,
    AddChatbot: sessions.add_chatbot,
    RemoveChatbot: sessions.remove_chatbot,
    CreateInvite: members.create_invite,
    AcceptInvite: members.accept_invite,
    LeaveSession: members.leave,
    RemoveUser: members.remove_user,
    MarkRead: members.mark_read,
    SendMessage: messages.send,
    FinishReply: messages.finish,
    StopReply: replies.stop,
    RegenerateReply: replies.regenerate,
    RateReply: replies.rate,
    EditMessage: edits.edit,
    EraseAuthor: erasure.erase,
    SummarizeSession: summaries.summarize,
}

KEYED_COMMANDS: frozenset[type[Payload]] = frozenset({StartSession, SendMessage, FinishReply})
"""Repetitions are detected by the key of what they store, so that the path of every message needs no other look-up."""

IDEMPOTENT_COMMANDS: frozenset[type[Payload]] = KEYED_COMMANDS | {MarkRead, EraseAuthor, SummarizeSession}
"""Change nothing when applied again, so that their ids and answers are not recorded in `applied_commands`."""

EXCLUSIVE_COMMANDS: frozenset[type[Payload]] = frozenset({RegenerateReply, EditMessage, EraseAuthor})
"""Need older messages of a session, as all earlier commands left them: each has a separate transaction."""
