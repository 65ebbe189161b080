"""The models of the catalogue file. An unknown field is an error."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from chatbot_worker.rules.limits import Limits
from shared.contracts.turns import CONTEXT_BYTES_MAX

CONTEXT_MESSAGES_MAX = 1_000

_STRICT = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ContextEntry(BaseModel):
    """The context of a chatbot. A field that is left out has the default of the kind."""

    model_config = _STRICT

    messages: int | None = Field(
        default=None,
        ge=0,
        le=CONTEXT_MESSAGES_MAX,
        description="Maximum earlier messages. Above it the oldest are left out",
    )
    bytes: int | None = Field(
        default=None,
        ge=1,
        le=CONTEXT_BYTES_MAX,
        description="Maximum bytes (UTF-8). Above it the oldest messages are left out",
    )
    tokens: int | None = Field(
        default=None,
        ge=1,
        le=CONTEXT_BYTES_MAX,
        description="Maximum estimated tokens. Above it the oldest messages are left out",
    )
    summary: bool = Field(
        default=False, description="Whether a language model summarizes the messages that left its window"
    )


class CircuitEntry(BaseModel):
    """The circuit breaker of a chatbot."""

    model_config = _STRICT

    failures: int = Field(default=5, ge=1, le=1_000, description="Failed tries in a row that open the circuit")
    pause: float = Field(
        default=10.0,
        gt=0,
        le=120,
        description="Seconds until one turn tries again, doubled with each failure up to 120 s",
    )


Suggestion = Annotated[str, Field(min_length=1, max_length=200)]


class ChatbotEntry(BaseModel):
    """One `[[chatbots]]` table of the file."""

    model_config = _STRICT

    id: str = Field(pattern=r"^[a-z0-9._-]{1,64}$", description="Permanent id: 1-64 of a-z, 0-9, dot, dash, underscore")
    name: str = Field(min_length=1, max_length=100, description="Name that users see")
    description: str = Field(default="", max_length=1_000, description="One sentence for the list")
    avatar: str = Field(
        default="",
        max_length=1_000,
        description="URL of its picture, which the browsers of users load: `https://…`, or a path on the server",
    )
    suggestions: list[Suggestion] = Field(
        default_factory=list, max_length=6, description="First messages that the page offers, at most 6"
    )
    kind: str = Field(description="Kind of chatbot")
    default: bool = Field(
        default=False,
        description="Whether a chat that names no chatbot gets this one. Without any, the first is the default",
    )
    options: dict[str, Any] = Field(default_factory=dict, description="Options of the kind")
    context: ContextEntry = ContextEntry()
    limits: Limits = Limits()
    circuit: CircuitEntry = CircuitEntry()
    fallback: str | None = Field(default=None, description="Id of the chatbot that answers when this one cannot")
    concurrency: int | None = Field(
        default=None, ge=1, le=10_000, description="Maximum turns at the same time in a worker. Above it turns wait"
    )
    delta_interval: float = Field(
        default=0.03, ge=0, le=1, description="Minimum seconds between two deltas; 0 sends each piece as a delta"
    )
