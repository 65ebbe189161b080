"""How a turn ends: builds its `FinishReply`, and maps the errors of chatbots to what they mean for the turn."""

from __future__ import annotations

import traceback

import structlog

from chatbot_worker.chatbots.protocol import ReplyError
from chatbot_worker.replies.chatbot_run import LimitExceeded
from chatbot_worker.replies.reply_stream import ReplyStream
from chatbot_worker.rules.errors import CHATBOT_FAILED, LENGTH, LENGTH_BEFORE_TEXT, TIMEOUT, TOO_LONG
from shared.contracts.commands import FinishReply
from shared.contracts.payload import rfc3339_now
from shared.contracts.turns import RunTurn
from shared.contracts.views import ErrorView, MessageStatus

logger = structlog.get_logger(__name__)

CUT = (TOO_LONG, LENGTH, LENGTH_BEFORE_TEXT)  # such a reply is `stopped`, with the text so far


class ChatbotFailed(Exception):
    """A try of a chatbot failed.

    Args:
        error: code and message for the readers of the reply.
        retryable: whether another try may succeed.
        retry_after: seconds before which no other try makes sense.
        refused: whether the provider refused this very turn; another chatbot is not asked then.
    """

    def __init__(
        self,
        error: ErrorView = CHATBOT_FAILED,
        *,
        retryable: bool = True,
        retry_after: float = 0.0,
        refused: bool = False,
    ) -> None:
        self.error = error
        self.retryable = retryable
        self.retry_after = retry_after
        self.refused = refused
        super().__init__()

    @classmethod
    def from_error(cls, error: Exception) -> ChatbotFailed:
        """Map an error that a chatbot raised."""
        if isinstance(error, LimitExceeded):
            return cls(TIMEOUT, retryable=error.retryable)
        if isinstance(error, ReplyError):
            return cls(
                error.view or CHATBOT_FAILED,
                retryable=error.retryable,
                retry_after=error.retry_after or 0.0,
                refused=error.refused,
            )
        return cls()


def finish(
    turn: RunTurn,
    attempt: int,
    stream: ReplyStream | None,
    error: ErrorView | None = None,
    status: MessageStatus | None = None,
) -> FinishReply:
    """Build the end of a turn, with the text so far. The status follows from the error, unless it is given."""
    return FinishReply(
        session_id=turn.session_id,
        message_id=turn.message_id,
        chatbot_id=turn.chatbot_id,
        attempt=attempt,
        content="" if stream is None else stream.text.content,
        status=status or ("complete" if error is None else "stopped" if error in CUT else "failed"),
        error=error,
        created_at=rfc3339_now(),
        reasoning="" if stream is None else stream.reasoning,
    )


def log_failure(error: BaseException, **fields: str) -> None:
    """Log the type and the place of a chatbot's error.

    Its message may quote people and is left out, unless it is the reason of a `ReplyError`.
    """
    frames = traceback.extract_tb(error.__traceback__)
    known = isinstance(error, ReplyError)
    at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames and not known else ""
    reason = error.reason if isinstance(error, ReplyError) else ""
    logger.warning("chatbot.failed", error=type(error).__name__, reason=reason, at=at, **fields)
