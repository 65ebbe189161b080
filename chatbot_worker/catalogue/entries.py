"""What the catalogue's file may say of a chatbot. An unknown field is a mistake, and said so."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from chatbot_worker.rules.limits import Limits
from shared.contracts.turns import CONTEXT_BYTES_MAX

CONTEXT_MESSAGES_MAX = 1_000

_STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ContextEntry(BaseModel):
    """How much of a session a chatbot is given; what is left out is the kind's own wish."""

    model_config = _STRICT

    messages: int | None = Field(default=None, ge=0, le=CONTEXT_MESSAGES_MAX, description="Earlier messages at most")
    bytes: int | None = Field(default=None, ge=1, le=CONTEXT_BYTES_MAX, description="Bytes of UTF-8 at most")
    tokens: int | None = Field(
        default=None, ge=1, le=CONTEXT_BYTES_MAX, description="Tokens at most, by our estimate; the oldest go first"
    )
    summary: bool = Field(
        default=False, description="Whether a language model sums up for itself what it is not shown any more"
    )


class CircuitEntry(BaseModel):
    """When a chatbot that only fails is left alone for a while."""

    model_config = _STRICT

    failures: int = Field(default=5, ge=1, le=1_000, description="Failed tries in a row until nobody tries any more")
    pause: float = Field(
        default=10.0, gt=0, le=120, description="Seconds until one turn tries it again; doubled up to 120 s"
    )


class ChatbotEntry(BaseModel):
    """One `[[chatbots]]` of the file."""

    model_config = _STRICT

    id: str = Field(
        pattern=r"^[a-z0-9._-]{1,64}$", description="Names it for ever: 1-64 of a-z, 0-9, dot, dash, underscore"
    )
    name: str = Field(min_length=1, max_length=100, description="What people see")
    description: str = Field(default="", max_length=1_000, description="One sentence for the list")
    avatar: str = Field(default="", max_length=1_000, description="A picture's address; kept for pages of your own")
    kind: str = Field(description="Which program it is")
    default: bool = Field(
        default=False, description="Whether a chat that names no chatbot gets this one; else the first"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="What its kind can be told")
    context: ContextEntry = ContextEntry()
    limits: Limits = Limits()
    circuit: CircuitEntry = CircuitEntry()
    fallback: str | None = Field(default=None, description="Id of the chatbot that answers when this one cannot")
    concurrency: int | None = Field(default=None, ge=1, le=10_000, description="Turns at once; else the kind's own")
    delta_interval: float = Field(default=0.03, ge=0, le=1, description="Seconds between updates; 0 sends each piece")
