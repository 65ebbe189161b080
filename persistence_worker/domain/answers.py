"""What those who wait are answered, and what an author hears whose message could not be stored. No I/O."""

from __future__ import annotations

from shared.contracts.commands import SendMessage
from shared.contracts.events import MessageRejected
from shared.contracts.payload import Model
from shared.contracts.queries import Failure, Reply
from shared.errors import BackchatError, Unavailable


def result(model: Model) -> Reply:
    """What was asked for."""
    return Reply(result=model.model_dump(mode="json"))


def refusal(error: BackchatError) -> Reply:
    """An error as the answer to whoever waits."""
    return Reply(error=Failure(code=error.code, message=error.detail, retry_after=error.retry_after))


def answered_before(kept: str | None) -> Reply:
    """The first answer to a command that comes again; it was done, but its words may have had to go since."""
    return Reply.model_validate_json(kept) if kept is not None else refusal(Unavailable())


def rejection(command: SendMessage, code: str) -> MessageRejected:
    """What the author of a message hears that could not be stored."""
    return MessageRejected(
        session_id=command.session_id,
        message_id=command.message_id,
        client_message_id=command.client_message_id,
        user_id=command.user_id,
        code=code,
    )
