"""Answers of chat completions endpoints, as real and documented servers give them, and what a chat should show.

Each is what `model_server` sends for one request. Names say which server or client is known for the shape.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Refusal:
    """An error response. `kind`: misconfigured, busy, too long, filtered, refused or failed."""

    status: int
    error: Any
    kind: str
    headers: str = JSON
    body: bytes = field(default=b"")


def says(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


REFUSALS: dict[str, Refusal] = {
    "OpenAI, too long": Refusal(
        400, says("This model's maximum context length is 8192 tokens.", code="context_length_exceeded"), "too long"
    ),
    "OpenAI Responses, too long": Refusal(
        400, says("Your input exceeds the context window of this model."), "too long"
    ),
    "OpenAI, one request over the limit": Refusal(
        429,
        says("Request too large for gpt-4 on tokens per min (TPM): Limit 10000", code="rate_limit_exceeded"),
        "too long",
    ),
    "llama.cpp, too long": Refusal(
        400,
        says("the request exceeds the available context size", code=400, type="exceed_context_size_error"),
        "too long",
    ),
    "vLLM, too long": Refusal(
        400,
        {"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400},
        "too long",
    ),
    "vLLM, exactly full": Refusal(400, says("max_tokens must be at least 1, got 0."), "too long"),
    "vLLM, decoder": Refusal(
        400, says("The decoder prompt (length 5000) is longer than the maximum model length of 4096."), "too long"
    ),
    "Anthropic, too long": Refusal(
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "prompt is too long: 208310 tokens > 200000 maximum"},
        },
        "too long",
    ),
    "Anthropic, too long with its reply": Refusal(
        400, says("input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000"), "too long"
    ),
    "Gemini, too long": Refusal(
        400,
        [
            says(
                "The input token count (1189163) exceeds the maximum number of tokens allowed (1048575).",
                code=400,
                status="INVALID_ARGUMENT",
            )
        ],
        "too long",
    ),
    "xAI, too long": Refusal(
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        },
        "too long",
    ),
    "SGLang, too long": Refusal(
        400,
        {
            "object": "error",
            "message": "The input (16385 tokens) is longer than the model's context length (8192 tokens).",
            "type": "BadRequestError",
        },
        "too long",
    ),
    "Groq, too long": Refusal(
        413, says("Request too large for model `x` on tokens per minute (TPM)", code="rate_limit_exceeded"), "too long"
    ),
    "Mistral, too long": Refusal(
        400,
        {
            "object": "error",
            "message": "Prompt contains 50000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
            "type": "invalid_request_prompt",
        },
        "too long",
    ),
    "TGI, too long": Refusal(
        422,
        {"error": "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000", "error_type": "v"},
        "too long",
    ),
    "Cohere, too long": Refusal(400, {"message": "too many tokens: total number of tokens in the prompt"}, "too long"),
    "Moonshot, too long": Refusal(400, says("Your request exceeded model token limit: 8192"), "too long"),
    "Bedrock, too long": Refusal(400, {"message": "Input is too long for requested model."}, "too long"),
    "GitHub, too long": Refusal(400, says("prompt token count of 70000 exceeds the limit of 64000"), "too long"),
    "LM Studio, too long": Refusal(
        400,
        {"error": "The number of tokens to keep from the initial prompt is greater than the context length"},
        "too long",
    ),
    "a proxy's limit": Refusal(413, None, "too long", body=b"<html>413 Request Entity Too Large</html>"),
    "Go gateway, 500": Refusal(500, says("context deadline exceeded"), "failed"),
    "Go gateway, 504": Refusal(504, says("Post: context deadline exceeded (Client.Timeout exceeded)"), "failed"),
    "Go gateway, 400": Refusal(400, says("context deadline exceeded"), "refused"),
    "OpenAI, unsupported parameter": Refusal(
        400,
        says("Unsupported parameter: 'max_tokens' is not supported with this model.", code="unsupported_parameter"),
        "misconfigured",
    ),
    "OpenAI, unsupported value": Refusal(
        400, says("Unsupported value: 'temperature'. Only the default (1) value is supported."), "misconfigured"
    ),
    "OpenAI, max_tokens too large": Refusal(
        400,
        says("max_tokens is too large: 100000. This model supports at most 16384 completion tokens."),
        "misconfigured",
    ),
    "OpenAI, unknown argument": Refusal(400, says("Unrecognized request argument supplied: top_k"), "misconfigured"),
    "Mistral, unknown field": Refusal(
        422,
        {"detail": [{"type": "extra_forbidden", "loc": ["body", "x"], "msg": "Extra inputs are not permitted"}]},
        "misconfigured",
    ),
    "no such model, 404": Refusal(404, says("The model `x` does not exist", code="model_not_found"), "misconfigured"),
    "no such model, 400": Refusal(400, says("Model x not found", code="model_not_found"), "misconfigured"),
    "DeepSeek, no such model": Refusal(400, says("Model Not Exist", type="invalid_request_error"), "misconfigured"),
    "Groq, retired model": Refusal(400, says("The model `x` has been decommissioned"), "misconfigured"),
    "Gemini, bad key": Refusal(
        400,
        [
            says(
                "API key not valid. Please pass a valid API key.",
                code=400,
                status="INVALID_ARGUMENT",
                details=[{"reason": "API_KEY_INVALID"}],
            )
        ],
        "misconfigured",
    ),
    "bad key": Refusal(401, says("Incorrect API key provided", code="invalid_api_key"), "misconfigured"),
    "no money": Refusal(402, says("Insufficient Balance"), "misconfigured"),
    "OpenAI, no money": Refusal(
        429, says("You exceeded your current quota", code="insufficient_quota"), "misconfigured"
    ),
    "embedding model": Refusal(400, says("The model does not support Chat Completions API"), "misconfigured"),
    "rate limit": Refusal(
        429, says("Rate limit reached for model `x` on tokens per minute", code="rate_limit_exceeded"), "busy"
    ),
    "Gemini, rate limit": Refusal(
        429, [says("You exceeded your current quota, please check your plan", status="RESOURCE_EXHAUSTED")], "busy"
    ),
    "Anthropic, overloaded": Refusal(529, {"type": "error", "error": {"type": "overloaded_error"}}, "busy"),
    "Groq, capacity": Refusal(498, says("Flex tier capacity exceeded"), "busy"),
    "Azure, filter": Refusal(
        400,
        says("The response was filtered", code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}),
        "filtered",
    ),
    "OpenRouter, flagged": Refusal(
        403, says("Your chosen model requires moderation and your input was flagged"), "filtered"
    ),
    "Alibaba, inspection": Refusal(400, says("Output data may contain…", code="data_inspection_failed"), "filtered"),
    "a refusal without known words": Refusal(400, says("no"), "refused"),
    "an error of the server": Refusal(500, None, "failed", body=b"oops"),
}
