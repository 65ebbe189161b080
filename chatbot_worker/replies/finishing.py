"""How a turn ends: its `FinishReply`, and what a chatbot's failure means for it."""

from __future__ import annotations

import traceback

import structlog
from pydantic import ValidationError

from chatbot_worker.chatbots.protocol import ReplyError
from chatbot_worker.replies.chatbot_run import TookTooLong
from chatbot_worker.rules.errors import CHATBOT_FAILED, EMPTY_REPLY, TIMEOUT, TOO_LONG
from chatbot_worker.rules.reply_text import ReplyText
from shared.contracts.commands import FinishReply
from shared.contracts.envelope import Received
from shared.contracts.payload import utc_now
from shared.contracts.turns import RunTurn
from shared.contracts.views import ErrorView, MessageStatus

logger = structlog.get_logger(__name__)


class ChatbotFailed(Exception):
    """A try failed with `error`.

    `again`: another one may help, though not before `retry_after` seconds. `refused`: this very turn was,
    for a reason of its own.
    """

    def __init__(
        self,
        error: ErrorView = CHATBOT_FAILED,
        *,
        again: bool = True,
        retry_after: float = 0.0,
        refused: bool = False,
    ) -> None:
        self.error = error
        self.again = again
        self.retry_after = retry_after
        self.refused = refused
        super().__init__()

    @classmethod
    def by(cls, error: Exception) -> ChatbotFailed:
        """What a chatbot's error means."""
        if isinstance(error, TookTooLong):
            return cls(TIMEOUT, again=error.again)
        if isinstance(error, ReplyError):
            told = error.view or CHATBOT_FAILED
            return cls(told, again=error.again, retry_after=error.retry_after or 0.0, refused=not error.again)
        return cls()


def finish(
    turn: RunTurn, attempt: int, content: str, error: ErrorView | None = None, status: MessageStatus | None = None
) -> FinishReply:
    """The end of a turn; its status follows from what was wrong, unless somebody stopped it."""
    return FinishReply(
        session_id=turn.session_id,
        message_id=turn.message_id,
        chatbot_id=turn.chatbot_id,
        attempt=attempt,
        content=content,
        status=status or ("complete" if error is None else "stopped" if error is TOO_LONG else "failed"),
        error=error,
        created_at=utc_now(),
    )


def unreadable(turn: Received) -> FinishReply | None:
    """The end of a turn that this release cannot read; none if it is no turn, or does not say which one it is."""
    if turn.type != RunTurn.TYPE:
        return None
    try:
        return FinishReply(
            session_id=turn.data["session_id"],
            message_id=turn.data["message_id"],
            chatbot_id=turn.data["chatbot_id"],
            attempt=0,
            content="",
            status="failed",
            error=CHATBOT_FAILED,
            created_at=utc_now(),
        )
    except (KeyError, ValidationError):
        return None


def fault(text: ReplyText) -> ErrorView | None:
    """What is wrong with a reply that ended by itself."""
    if text.full:
        return TOO_LONG
    return None if text.length else EMPTY_REPLY


def log_failure(error: BaseException, **about: str) -> None:
    """An error's type and place. Never its message, which may quote people, unless the chatbot vouches for it."""
    frames = traceback.extract_tb(error.__traceback__)
    known = isinstance(error, ReplyError)
    at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames and not known else ""
    reason = error.reason if isinstance(error, ReplyError) else ""
    logger.warning("chatbot failed", error=type(error).__name__, reason=reason, at=at, **about)
