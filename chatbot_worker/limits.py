"""How long a chatbot may take and how often it may fail; the words for a person when it does."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field

from shared.contracts.views import ErrorView

CRASHES_MAX = 10  # deliveries without an ack; the broker's restarts count among them, so it is generous
TRIES_MAX = 10  # of one start, at most
STARTS = 1_000  # attempt numbers of one start
WAIT_MAX = 240.0  # seconds that a turn is kept waiting for others before it goes back to its queue
TOTAL_MAX = 600.0  # seconds of a reply; a fallback and two waits with it end within RabbitMQ's 30 minutes

TIMEOUT = ErrorView(code="timeout", message="The chatbot took too long to answer.")
CHATBOT_FAILED = ErrorView(code="chatbot_failed", message="The chatbot could not answer. Try again in a moment.")
EMPTY_REPLY = ErrorView(code="empty_reply", message="The chatbot had nothing to say.")
UNAVAILABLE = ErrorView(
    code="chatbot_unavailable", message="The chatbot is not available just now. Try again in a moment."
)
TOO_LONG = ErrorView(code="too_long", message="The reply was longer than a message may be, so it ends here.")


class Limits(BaseModel):
    """Limits of one chatbot. They run from the start of a turn here, not from its publication."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    first_token: float = Field(default=30.0, gt=0, le=TOTAL_MAX, description="Seconds until a try's first text")
    between_tokens: float = Field(default=30.0, gt=0, le=TOTAL_MAX, description="Seconds from one piece to the next")
    total: float = Field(default=120.0, gt=0, le=TOTAL_MAX, description="Seconds for the whole reply, all tries")
    attempts: int = Field(
        default=3, ge=1, le=TRIES_MAX, description="Tries until an error of the chatbot fails the turn"
    )


def attempt_number(starts: int, retry: int, attempts: int, draw: Callable[[int], int]) -> int:
    """The `attempt` of one run: 1000 for each of `starts`, plus a random part below 1000.

    Two workers that run one turn draw apart; each new start is higher than all before it. So is each
    retry inside a start: it draws from its own slice of the thousand, ascending, and stays below the next start.

    Args:
        starts: publications and deliveries of the turn so far, this one included.
        retry: 0 for the first run of this start.
        attempts: runs that a start may have.
        draw: a random integer below its argument.
    """
    width = STARTS // attempts
    return STARTS * starts + width * retry + draw(width)
