"""Parses responses of chat completions endpoints, including known deviations from the documented format. Pure.

Known deviations: a first delta with nothing but a role, `content` that is null or a list of parts, `choices`
that are empty, null or absent (usage, keep-alive), `delta` null, the whole `message` in place of a delta,
a full completion although a stream was asked for, an error object after status 200, no `[DONE]`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from chatbot_worker.chatbots.protocol import ReplyError
from chatbot_worker.kinds.wire import failures

DONE = "[DONE]"
CONTEXT_CODES = frozenset({"context_length_exceeded", "exceed_context_size_error"})
CODE_MAX = 60  # characters of an error's code that are logged


class ContextOverflow(ReplyError):
    """The prompt is longer than the model's context."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, retryable=False, view=failures.REFUSED)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of the reply. `finished`: the model or the stream reports the end."""

    text: str = ""
    finished: bool = False


def read_chunk(data: str) -> Chunk:
    """Parse the data of one event.

    Raises:
        ReplyError: the data is an error, or no JSON object.
    """
    if data.strip() == DONE:
        return Chunk(finished=True)
    if not data.strip():
        return Chunk()
    return read_completion(data)


def read_completion(data: str | bytes) -> Chunk:
    """Parse a JSON object, a chunk or a whole completion.

    Raises:
        ReplyError: the data is an error, or no JSON object.
    """
    found = _loads(data)
    if not isinstance(found, dict):
        raise failures.broken("not an object")
    _check(found)
    choices = found.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    return _read_choice(choice) if isinstance(choice, dict) else Chunk()


def error_of(body: bytes) -> tuple[str, str]:
    """Return the code and message of an error response, as far as present. They are not shown to users."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return "", ""
    error = found.get("error") if isinstance(found, dict) else None
    return _describe(error if error is not None else found)


def overflows(code: str, words: str) -> bool:
    """Return whether an error reports a prompt that is too long. vLLM and others report it only in the message."""
    words = words.lower()
    return code in CONTEXT_CODES or ("context" in words and ("length" in words or "exceed" in words))


def _loads(data: str | bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(data)  # accepts NaN and lone surrogates
    except ValueError:  # RecursionError is no ValueError
        raise failures.broken("not JSON") from None
    except RecursionError:
        raise failures.broken("JSON too deep") from None


def _read_choice(choice: Mapping[str, Any]) -> Chunk:
    reason = choice.get("finish_reason")
    if reason == "content_filter":
        raise failures.refused("content filter")
    source = choice.get("delta") or choice.get("message") or choice
    content = (source.get("content") or source.get("text")) if isinstance(source, dict) else None
    return Chunk(_text(content), finished=bool(reason))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def _check(found: Mapping[str, Any]) -> None:
    error = found.get("error")
    if not error and found.get("object") != "error":
        return
    code, words = _describe(error or found)
    if overflows(code, words):
        raise ContextOverflow("context too long")
    raise failures.broken(f"error in the stream: {code or 'without a code'}")


def _describe(error: Any) -> tuple[str, str]:
    if not isinstance(error, dict):
        return "", error if isinstance(error, str) else ""
    names = [str(error[field]) for field in ("type", "code") if isinstance(error.get(field), str | int)]
    code = next((name for name in names if name in CONTEXT_CODES), names[0] if names else "")
    words = error.get("message")
    return _plain(code), words if isinstance(words, str) else ""


def _plain(code: str) -> str:
    """Return a code that may be logged: a provider must not write users' text into the log."""
    return code[:CODE_MAX] if code.replace("_", "").replace("-", "").replace(".", "").isalnum() else ""
