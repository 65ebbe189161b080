"""Answers to commands and queries, and rejections of messages. No I/O."""

from __future__ import annotations

from shared.contracts.commands import SendMessage
from shared.contracts.events import MessageRejected
from shared.contracts.payload import Model
from shared.contracts.queries import Failure, Reply
from shared.errors import BackchatError, Unavailable


def result(model: Model) -> Reply:
    """Return a successful answer."""
    return Reply(result=model.to_dict())


def refusal(error: BackchatError) -> Reply:
    """Return the answer that carries an error."""
    return Reply(error=Failure(code=error.code, message=error.detail, retry_after=error.retry_after))


def answered_before(stored: str | None) -> Reply:
    """Return the first answer to a repeated command: `unavailable` if its text has been redacted since."""
    return Reply.from_json(stored) if stored is not None else refusal(Unavailable())


def rejection(command: SendMessage, code: str) -> MessageRejected:
    """Return the event that informs the author of a message that it is not stored."""
    return MessageRejected(
        session_id=command.session_id,
        message_id=command.message_id,
        client_message_id=command.client_message_id,
        user_id=command.user_id,
        code=code,
    )
