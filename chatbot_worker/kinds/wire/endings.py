"""The reasons that endpoints give for the end of a reply, and what they mean for it. Pure."""

from __future__ import annotations

from typing import Any

from chatbot_worker.chatbots.protocol import LengthReached
from chatbot_worker.kinds.wire import failures

NOT_YET = frozenset({"", "null", "none"})  # in every chunk of some endpoints
FINISHED = frozenset(
    {
        "stop",
        "end",
        "end_turn",
        "eos",
        "eos_token",
        "eos_found",
        "stop_sequence",
        "stop_token",
        "stop_string",
        "stopped",
        "complete",
        "completed",
        "finish",
        "finished",
        "finish_reason_stop",
        "done",
        "normal",
        "success",
        "tool_calls",
        "tool_call",
        "tool_use",
        "function_call",
    }
)
LENGTH = frozenset(
    {
        "length",
        "max_length",
        "max_tokens",
        "max_new_tokens",
        "max_output_tokens",
        "max_completion_tokens",
        "token_limit",
        "model_length",  # Mistral
        "model_context_window_exceeded",  # Anthropic, Zhipu
        "context_length",
        "context_window",
    }
)
FILTERED = frozenset(
    {
        "content_filter",
        "content_filtered",  # Bedrock
        "guardrail_intervened",
        "guardrails",
        "safety",  # this and the next: Gemini
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
        "image_safety",
        "sensitive",  # Zhipu
        "moderation",
        "refusal",  # Anthropic
    }
)


def reason_of(value: Any) -> str:
    """Return a `finish_reason` in lower case; empty while the reply continues."""
    if isinstance(value, bool):
        return "stop" if value else ""
    reason = str(value).strip().lower() if isinstance(value, str | int) else ""
    return "" if reason in NOT_YET else reason


def weightier(first: str, second: str) -> str:
    """Return the one of two reasons in a reply that decides: any one before `stop`, else the first."""
    return second if not first or (first in FINISHED and second) else first


def check(reason: str) -> None:
    """Return if the reply is finished.

    Raises:
        LengthReached: the model reached its limit.
        ReplyError: the reply ended in any other way.
    """
    if reason in FINISHED:
        return
    if reason in LENGTH:
        raise LengthReached
    if reason in FILTERED:
        raise failures.filtered("content filter")
    known = reason if reason.isascii() and reason.replace("_", "").isalnum() else "unknown"
    raise failures.interrupted(f"finish_reason {known[:40]}")
