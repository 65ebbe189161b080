"""Answers of chat completions endpoints, as real and documented servers give them, and what a chat should show.

Each is what `model_server` sends for one request. Names say which server or client is known for the shape.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.support.model_server import JSON, SSE, Answer, Asked, Script

HTML = "Content-Type: text/html; charset=utf-8\r\n"
PLAIN = "Content-Type: text/plain\r\n"
NDJSON = "Content-Type: application/x-ndjson\r\n"
Event = dict[str, Any] | str | bytes


@dataclass(frozen=True)
class Expected:
    """What a chat shows: the text, the code of the error (none: `complete`), and the reasoning apart from the text."""

    content: str = ""
    code: str | None = None
    reasoning: str = ""


@dataclass(frozen=True)
class Case:
    """An answer and what it should lead to."""

    script: Script
    expected: Expected


def chunk(content: Any = None, reason: Any = None, **delta: Any) -> dict[str, Any]:
    """A chunk of OpenAI's format."""
    said = {} if content is None else {"content": content}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {**said, **delta}, "finish_reason": reason}],
    }


def bare(content: str) -> dict[str, Any]:
    """A chunk of a server that knows no `finish_reason`."""
    return {"choices": [{"index": 0, "delta": {"content": content}}]}


def whole(content: Any, reason: Any = "stop", **message: Any) -> dict[str, Any]:
    """A completion that is no stream."""
    said = {"role": "assistant", "content": content, **message}
    return {"object": "chat.completion", "choices": [{"index": 0, "message": said, "finish_reason": reason}]}


def streams(*events: Event, headers: str = SSE, status: int = 200) -> Script:
    """Send events, or raw bytes, and close the connection."""

    async def script(_asked: Asked, answer: Answer) -> None:
        await answer.head(status, headers)
        for event in events:
            await (answer.raw(event) if isinstance(event, bytes) else answer.event(event))

    return script


def sends(body: Any, status: int = 200, headers: str = JSON) -> Script:
    """Send one body with its length."""
    return lambda _, answer: answer.whole(body, status, headers)


def event(name: str, data: Any) -> bytes:
    """A named event."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def raw(data: Any, end: str = "\n\n") -> bytes:
    """An event with another end."""
    return f"data: {data if isinstance(data, str) else json.dumps(data)}{end}".encode()


ROLE = chunk("", role="assistant")
STOP = chunk(reason="stop")
USAGE = {"choices": [], "usage": {"total_tokens": 3}}
DONE = "[DONE]"
TWO = (ROLE, chunk("Hel"), chunk("lo."))
HALF = (ROLE, chunk("Half a sen"))
HELLO = Expected("Hello.")


def fails(code: str, content: str = "Half a sen") -> Expected:
    return Expected(content, code)


COMPLETE: dict[str, Case] = {
    name: Case(script, HELLO)
    for name, script in {
        "as documented": streams(*TWO, STOP, USAGE, DONE),
        "last event without a blank line": streams(*TWO, raw(STOP, "\n")),
        "last event without an end of line": streams(*TWO, raw(STOP, "")),
        "done as the last bytes": streams(*TWO, STOP, raw(DONE, "")),
        "no done": streams(*TWO, STOP),
        "done, and the server knows no reasons": streams(bare("Hel"), bare("lo."), DONE),
        "one end of line between events": streams(*[raw(each, "\n") for each in (*TWO, STOP, DONE)]),
        "CRLF": streams(*[raw(each, "\r\n\r\n") for each in (*TWO, STOP, DONE)]),
        "CR": streams(*[raw(each, "\r\r") for each in (*TWO, STOP, DONE)]),
        "no space after the colon": streams(
            *[raw(each).replace(b"data: ", b"data:", 1) for each in (*TWO, STOP, DONE)]
        ),
        "byte order mark": streams(b"\xef\xbb\xbf", *TWO, STOP, DONE),
        "ids, retry and comments": streams(b"retry: 10\n\n", b"id: 7\n", *TWO, b": ping\n\n", STOP, b"id: 8\n\n", DONE),
        "JSON on several lines": streams(*TWO, b'data: {"choices": [\ndata: {"finish_reason": "stop"}]}\n\n'),
        "a reason in every chunk": streams(chunk("Hel", "stop"), chunk("lo", "stop"), chunk(".", "stop"), DONE),
        "text after the reason": streams(chunk("Hel"), STOP, chunk("lo."), DONE),
        "reason null as a text, or empty": streams(chunk("Hel", "null"), chunk("lo.", ""), STOP, DONE),
        "reason in capitals": streams(*TWO, chunk(reason="STOP"), DONE),
        "reason of Anthropic": streams(*TWO, chunk(reason="end_turn"), DONE),
        "reason eos": streams(*TWO, chunk(reason="eos"), DONE),
        "message in the last chunk, delta empty": streams(
            *TWO, {"choices": [{"delta": {}, "message": {"content": "Hello."}, "finish_reason": "stop"}]}, DONE
        ),
        "message in the last chunk alone": streams(
            *TWO, {"choices": [{"message": {"content": "Hello."}, "finish_reason": "stop"}]}, DONE
        ),
        "message in the last chunk, delta null": streams(
            *TWO, {"choices": [{"delta": None, "message": {"content": "Hello."}, "finish_reason": "stop"}]}, DONE
        ),
        "message with the rest of the text": streams(
            chunk("Hel"), {"choices": [{"delta": {}, "message": {"content": "Hello."}, "finish_reason": "stop"}]}
        ),
        "cumulative message beside delta": streams(
            {"choices": [{"delta": {"content": "Hel"}, "message": {"content": "Hel"}}]},
            {"choices": [{"delta": {"content": "lo."}, "message": {"content": "Hello."}}]},
            STOP,
        ),
        "cumulative message alone": streams(
            {"choices": [{"message": {"content": "Hel"}}]}, {"choices": [{"message": {"content": "Hello."}}]}, STOP
        ),
        "partial message alone": streams(
            {"choices": [{"message": {"content": "Hel"}}]}, {"choices": [{"message": {"content": "lo."}}]}, STOP
        ),
        "delta null": streams({"choices": [{"delta": None, "finish_reason": None}]}, *TWO, STOP),
        "choices null, absent, empty": streams({"choices": None}, {"id": 1}, {"type": "ping"}, USAGE, *TWO, STOP),
        "content in parts": streams(chunk([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo."}]), STOP),
        "text of the older API": streams({"choices": [{"text": "Hello.", "finish_reason": "stop"}]}),
        "error null in each chunk": streams({**chunk("Hello."), "error": None}, STOP),
        "a refusal": streams(chunk(refusal="Hel"), chunk(refusal="lo."), STOP, DONE),
        "whole completion": sends(whole("Hello.")),
        "whole completion labelled as a stream": sends(whole("Hello."), headers=SSE),
        "whole completion without a reason": sends(whole("Hello.", None)),
        "stream labelled as JSON": streams(*TWO, STOP, DONE, headers=JSON),
        "stream labelled as text": streams(*TWO, STOP, DONE, headers=PLAIN),
        "a JSON object on each line": streams(
            *[json.dumps(each).encode() + b"\n" for each in (*TWO, STOP)], headers=NDJSON
        ),
        "stream labelled as a web page": streams(*TWO, STOP, DONE, headers=HTML),
        "status 201": streams(*TWO, STOP, DONE, status=201),
    }.items()
}

REASONING: dict[str, Case] = {
    name: Case(script, Expected("Hello.", None, "I think."))
    for name, script in {
        "reasoning_content": streams(chunk(reasoning_content="I "), chunk(reasoning_content="think."), *TWO, STOP),
        "reasoning": streams(chunk(reasoning="I "), chunk(reasoning="think."), *TWO, STOP),
        "reasoning beside reasoning_details": streams(
            chunk(reasoning="I think.", reasoning_details=[{"type": "reasoning.text", "text": "I think."}]), *TWO, STOP
        ),
        "reasoning_details alone": streams(
            chunk(reasoning_details=[{"type": "reasoning.summary", "summary": "I "}]),
            chunk(reasoning_details=[{"type": "reasoning.text", "text": "think."}, {"type": "reasoning.encrypted"}]),
            *TWO,
            STOP,
        ),
        "reasoning in a whole message": sends(whole("Hello.", reasoning_content="I think.")),
        "message repeats reasoning": streams(
            chunk(reasoning="I think."), *TWO, {"choices": [whole("Hello.", reasoning="I think.")["choices"][0]]}
        ),
        "parts of Mistral": streams(
            chunk([{"type": "thinking", "thinking": [{"type": "text", "text": "I think."}]}]), *TWO, STOP
        ),
        "think tags": streams(chunk("<think>\nI think."), chunk("</think>\n\nHello."), STOP, DONE),
        "think tags, cut anywhere": streams(*map(chunk, "<think>I think.</think>Hello."), STOP, DONE),
        "closing tag alone": streams(chunk("I think."), chunk("</th"), chunk("ink>\n\nHello."), STOP, DONE),
        "closing tag alone, in one chunk": streams(chunk("I think.</think>Hello."), STOP, DONE),
        "closing tag alone, in a whole message": sends(whole("I think.\n</think>\nHello.".replace("\n</", "</"))),
        "two blocks": streams(chunk("<think>I </think>Hel"), chunk("<think>think.</think>lo."), STOP),
        "tags of Magistral": streams(chunk("[THINK]I think.[/THINK]Hello."), STOP),
        "tags of Gemini": streams(chunk("<thought>I think.</thought>Hello."), STOP),
        "harmony": streams(
            chunk("<|channel|>analysis<|message|>I think.<|end|>"),
            chunk("<|start|>assistant<|channel|>final<|message|>Hello.<|return|>"),
            STOP,
        ),
        "harmony, cut anywhere": streams(
            *map(
                chunk,
                "<|channel|>analysis<|message|>I think.<|end|><|start|>assistant<|channel|>final<|message|>Hello.",
            ),
            STOP,
        ),
        "harmony, opened by the template": streams(
            chunk("I think.<|end|>"), chunk("<|start|>assistant<|channel|>final<|message|>Hello."), STOP
        ),
    }.items()
}

NOT_FINISHED: dict[str, Case] = {
    "length": Case(streams(*HALF, chunk(reason="length"), DONE), fails("length")),
    "length beside text": Case(streams(ROLE, chunk("Half a sen", "length")), fails("length")),
    "max_tokens": Case(streams(*HALF, chunk(reason="MAX_TOKENS"), DONE), fails("length")),
    "model_length": Case(streams(*HALF, chunk(reason="model_length"), DONE), fails("length")),
    "length in a whole completion": Case(sends(whole("Half a sen", "length")), fails("length")),
    "length after reasoning alone": Case(
        streams(chunk(reasoning="I think."), chunk(reason="length"), DONE), Expected("", "length", "I think.")
    ),
    "length within a think block": Case(
        streams(chunk("<think>I think."), chunk(reason="length"), DONE), Expected("", "length", "I think.")
    ),
    "content_filter": Case(streams(*HALF, chunk(reason="content_filter"), DONE), fails("provider_refused")),
    "safety": Case(streams(*HALF, chunk(reason="SAFETY"), DONE), fails("provider_refused")),
    "sensitive": Case(streams(*HALF, chunk(reason="sensitive"), DONE), fails("provider_refused")),
    **{
        f"reason {reason}": Case(streams(*HALF, chunk(reason=reason), DONE), fails("reply_interrupted"))
        for reason in ("error", "abort", "insufficient_system_resource", "network_error", "cancelled", "timeout")
    },
    "reason error, with an error": Case(
        streams(*HALF, {"choices": [{"delta": {}, "finish_reason": "error", "error": {"code": 502, "message": "x"}}]}),
        fails("provider_failed"),
    ),
    "stop in each chunk, then length": Case(
        streams(chunk("Half a ", "stop"), chunk("sen", "length"), DONE), fails("length")
    ),
    "event error, then done": Case(streams(*HALF, event("error", {"message": "boom"}), DONE), fails("provider_failed")),
    "event error without JSON": Case(streams(*HALF, b"event: error\ndata: boom\n\n"), fails("provider_failed")),
    "type error": Case(
        streams(*HALF, {"type": "error", "error": {"type": "api_error", "message": "boom"}}, DONE),
        fails("provider_failed"),
    ),
    "detail": Case(streams(*HALF, {"detail": "boom"}, DONE), fails("provider_failed")),
    "error": Case(streams(*HALF, {"error": {"message": "boom", "code": 500}}, DONE), fails("provider_failed")),
    "error as words": Case(streams(*HALF, {"error": "boom"}, DONE), fails("provider_failed")),
    "object error": Case(streams(*HALF, {"object": "error", "message": "boom"}, DONE), fails("provider_failed")),
    "too long after text": Case(
        streams(*HALF, {"error": {"code": "context_length_exceeded", "message": "boom"}}), fails("reply_interrupted")
    ),
    "too long after reasoning": Case(
        streams(chunk(reasoning="I think."), {"error": {"code": "context_length_exceeded", "message": "boom"}}),
        Expected("", "reply_interrupted", "I think."),
    ),
    "done without a reason": Case(streams(*HALF, DONE), fails("reply_interrupted")),
    "the stream ends": Case(streams(*HALF), fails("reply_interrupted")),
    "done and nothing else": Case(streams(DONE), fails("reply_interrupted", "")),
    "nothing": Case(streams(STOP, DONE), Expected("")),
    "web page": Case(sends(b"<!doctype html><html></html>", headers=HTML), fails("provider_misconfigured", "")),
    "web page labelled as a stream": Case(sends(b"\n<html></html>", headers=SSE), fails("provider_misconfigured", "")),
    "text for an API": Case(sends(b"Not found", headers=PLAIN), fails("provider_misconfigured", "")),
    "text labelled as a stream": Case(sends(b"upstream is away", headers=SSE), fails("provider_failed", "")),
    "JSON that is no completion": Case(sends({"status": "ok"}), fails("provider_failed", "")),
    "error first": Case(sends({"error": {"message": "boom"}}), fails("provider_failed", "")),
    "list of errors first": Case(sends([{"error": {"message": "boom", "code": 500}}]), fails("provider_failed", "")),
}
