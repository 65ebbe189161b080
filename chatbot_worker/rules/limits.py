"""How long a chatbot may take and how often it may fail; the words for a person when it does."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

TRIES_MAX = 10  # in one start of a turn
TOTAL_MAX = 600.0  # seconds of a reply; a fallback and two waits with it end within RabbitMQ's 30 minutes


class Limits(BaseModel):
    """Limits of one chatbot. They run from the start of a turn here, not from its publication."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    first_token: float = Field(default=30.0, gt=0, le=TOTAL_MAX, description="Seconds until a try's first text")
    between_tokens: float = Field(default=30.0, gt=0, le=TOTAL_MAX, description="Seconds from one piece to the next")
    total: float = Field(default=120.0, gt=0, le=TOTAL_MAX, description="Seconds for the whole reply, all tries")
    attempts: int = Field(
        default=3, ge=1, le=TRIES_MAX, description="Tries until an error of the chatbot fails the turn"
    )
