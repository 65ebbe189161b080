"""Parses the objects of chat completions endpoints, including known deviations from the documented format. Pure.

Known deviations: a first delta with nothing but a role, `content` that is null or a list of parts, `choices`
that are empty, null or absent (usage, keep-alive), `delta` null or a text, the whole `message` in place of a delta or
alongside it, an error after status 200 in any of several shapes, reasoning under several names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from chatbot_worker.kinds.wire import failures
from chatbot_worker.kinds.wire.endings import reason_of
from chatbot_worker.kinds.wire.json_text import loads
from chatbot_worker.kinds.wire.refusals import describe, judge

DONE = "[DONE]"
REASONING = ("reasoning_content", "reasoning", "reasoning_text", "thinking", "thought")  # names of one field
REASONING_LISTS = ("reasoning_details", "thinking_blocks")  # OpenRouter, LiteLLM; often alongside one of the above


class Speech(NamedTuple):
    """The text and the reasoning of a delta, a message or a part."""

    text: str = ""
    reasoning: str = ""


class Chunk(NamedTuple):
    """One object of a stream, or a whole completion.

    Attributes:
        delta: what it adds to the reply.
        message: the reply from its beginning.
        reason: why the reply ends; empty while it continues.
        has_reason: there is a field for the reason.
        has_choices: it is an object of a completion.
    """

    delta: Speech = Speech()
    message: Speech = Speech()
    reason: str = ""
    has_reason: bool = False
    has_choices: bool = False


def is_done(data: str) -> bool:
    """Return whether the data of an event marks the end of the stream."""
    return data.strip().strip('"').upper() == DONE


def read_chunk(data: str | bytes) -> Chunk:
    """Parse a JSON object, a chunk or a whole completion.

    Raises:
        ReplyError: the data is an error, or no JSON object.
    """
    found = loads(data)
    if isinstance(found, list) and len(found) == 1:  # errors of Gemini
        found = found[0]
    if not isinstance(found, dict):
        raise failures.broken("not an object")
    return _read_object(found)


def _read_object(found: Mapping[str, Any]) -> Chunk:
    choices = found.get("choices")
    if _is_error(found, choices):
        raise judge(describe(found))
    choice = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        return Chunk(has_choices="choices" in found)
    if choice.get("error"):  # OpenRouter
        raise judge(describe(choice["error"]))
    delta = choice.get("delta")
    beside = choice if delta is None and choice.get("message") is None else None  # `text` of the older API
    return Chunk(
        _speech(delta if beside is None else beside),
        _speech(choice.get("message")),
        reason_of(choice.get("finish_reason")),
        "finish_reason" in choice,
        has_choices=True,
    )


def _is_error(found: Mapping[str, Any], choices: Any) -> bool:
    error = found.get("error")
    if error or found.get("object") == "error":
        return True
    if choices:
        return False
    status = found.get("base_resp")  # MiniMax
    return (
        error is not None
        or found.get("type") == "error"
        or bool(found.get("errors"))
        or bool(found.get("detail"))
        or (isinstance(found.get("message"), str) and any(name in found for name in ("code", "status", "type")))
        or (isinstance(status, dict) and bool(status.get("status_code")))
    )


def _speech(source: Any) -> Speech:
    if isinstance(source, str):
        return Speech(source)
    if not isinstance(source, dict):
        return Speech()
    text, within = _content(source.get("content"))
    text = text or _content(source.get("text")).text or _content(source.get("refusal")).text
    return Speech(text, _reasoning(source) or within)


def _content(content: Any) -> Speech:
    """Return the text and the reasoning of a `content`: a text, or a list of parts."""
    if isinstance(content, str):
        return Speech(content)
    parts = [_part(part) for part in content] if isinstance(content, list) else []
    return Speech("".join(part.text for part in parts), "".join(part.reasoning for part in parts))


def _part(part: Any) -> Speech:
    if isinstance(part, str):
        return Speech(part)
    if not isinstance(part, dict):
        return Speech()
    kind = part.get("type")
    if isinstance(kind, str) and ("think" in kind or "reason" in kind):
        return Speech(reasoning=_words(part.get("thinking")) or _words(part.get("text")) or _words(part.get("summary")))
    return Speech(_words(part.get("text")) or _words(part.get("refusal")))


def _reasoning(source: Mapping[str, Any]) -> str:
    for name in REASONING:
        if words := _words(source.get(name)):
            return words
    for name in REASONING_LISTS:
        if isinstance(parts := source.get(name), list):
            return "".join(_part({**part, "type": "reasoning"}).reasoning for part in parts if isinstance(part, dict))
    return ""


def _words(value: Any) -> str:
    """Return the text of a value: a text, an object with one, or a list of these."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return next((value[name] for name in ("text", "content") if isinstance(value.get(name), str)), "")
    if isinstance(value, list):
        return "".join(_words(each) for each in value if not isinstance(each, list))
    return ""
