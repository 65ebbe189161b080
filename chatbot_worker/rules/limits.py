"""How long a chatbot may take, and how often it is tried."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

TRIES_MAX = 10  # in one start of a turn
TOTAL_MAX = 600.0  # seconds of a reply; a fallback and two waits with it end within RabbitMQ's 30 minutes


class Limits(BaseModel):
    """The limits of one chatbot. They run from the start of a turn in a worker, not from its publication."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    first_token: float = Field(
        default=30.0,
        gt=0,
        le=TOTAL_MAX,
        description="Maximum seconds without a sign of life (reasoning, a comment) before the first text. "
        "Above it the try fails",
    )
    between_tokens: float = Field(
        default=30.0,
        gt=0,
        le=TOTAL_MAX,
        description="Maximum seconds without a sign of life after the first text. Above it the try fails",
    )
    total: float = Field(
        default=120.0,
        gt=0,
        le=TOTAL_MAX,
        description="Maximum seconds of the whole reply, all tries included. Above it the reply fails",
    )
    attempts: int = Field(
        default=3,
        ge=1,
        le=TRIES_MAX,
        description="Maximum tries. When all have failed, the fallback answers or the reply fails",
    )
