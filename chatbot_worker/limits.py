"""How long a chatbot may take and how often it may fail; the words for a person when it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.contracts.views import ErrorView

CRASHES_MAX = 10  # deliveries without an ack; the broker's restarts count among them, so it is generous
STARTS = 1_000  # attempt numbers of one start
HELD_MAX = 1_500.0  # seconds of all attempts together: RabbitMQ takes back what is held for 30 minutes

TIMEOUT = ErrorView(code="timeout", message="The chatbot took too long to answer.")
CHATBOT_FAILED = ErrorView(code="chatbot_failed", message="The chatbot could not answer. Try again in a moment.")
EMPTY_REPLY = ErrorView(code="empty_reply", message="The chatbot had nothing to say.")
TOO_LONG = ErrorView(code="too_long", message="The reply was longer than a message may be, so it ends here.")


class Limits(BaseModel):
    """Limits of one chatbot. They run from the start of a turn here, not from its publication."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    first_token: float = Field(default=30.0, gt=0, le=600, description="Seconds until the first piece of text")
    between_tokens: float = Field(default=30.0, gt=0, le=600, description="Seconds from one piece to the next")
    total: float = Field(default=120.0, gt=0, le=600, description="Seconds for the whole reply")
    attempts: int = Field(default=3, ge=1, le=10, description="Tries until an error of the chatbot fails the turn")

    @model_validator(mode="after")
    def _ends_before_the_broker_takes_the_turn_back(self) -> Self:
        if self.total * self.attempts > HELD_MAX:
            raise ValueError(f"total x attempts is over {HELD_MAX:g} seconds")
        return self


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
