"""The payloads of the public contract (contract.md §3) that the kit reads, and the outcome of an ack. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NotRequired, TypedDict

Payload = dict[str, Any]


class Fault(TypedDict):
    """Why a reply is not complete."""

    code: str
    message: str


class Part(TypedDict, total=False):
    """What belongs to a message and is no text of it; of type `reasoning`, or of a type of a later release."""

    type: str
    text: str


class Message(TypedDict):
    """A stored message. `seq` is its permanent place, `updated_seq` the number of its latest change."""

    id: str
    session_id: str
    seq: int
    updated_seq: int
    sender_type: Literal["user", "chatbot"]
    sender_id: str
    content: str
    created_at: str
    client_message_id: str | None
    reply_to: str | None
    status: Literal["complete", "stopped", "failed", "erased"]
    error: Fault | None
    superseded_by: str | None
    parts: NotRequired[list[Part]]


class Chatbot(TypedDict):
    """A chatbot in a session."""

    id: str
    name: str


class Session(TypedDict):
    """A session. `seq` is the number of its latest change."""

    id: str
    title: str | None
    owner_id: str
    users: list[str]
    chatbots: list[Chatbot]
    reply_policy: Literal["mentioned", "all", "round_robin", "silent"]
    seq: int
    last_seq: int
    created_at: str
    updated_at: str


RETRYABLE = frozenset({"unavailable", "internal", "rate_limited"})  # codes after which the same call is repeated
MISSING = "no_ack"  # the kit's own code for a missing ack


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an ack means. `code` is None on success; with `retryable` the same call is repeated with the same ids."""

    code: str | None
    message: str = ""
    retry_after: float = 0.0  # seconds; 0 if the server names none
    retryable: bool = False


def outcome(answer: Any) -> Outcome:
    """Judge an ack. `None` (none arrived in time) and anything outside the contract count as missing."""
    if not isinstance(answer, Mapping):
        return Outcome(MISSING, retryable=True)
    if answer.get("ok") is True:
        return Outcome(None)
    error = answer.get("error")
    if not isinstance(error, Mapping) or not isinstance(error.get("code"), str):
        return Outcome(MISSING, retryable=True)
    code = error["code"]
    return Outcome(code, str(error.get("message", "")), seconds(error.get("retry_after")), retryable=code in RETRYABLE)


def seconds(value: Any) -> float:
    """Return a `retry_after` in seconds; 0 if it is absent or not a number."""
    usable = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return float(value) if usable else 0.0
