"""Reads the errors of chat completions endpoints and classifies them. Pure.

An error is one of: misconfigured (the operator must act; the fallback answers), busy, too long (the prompt is shortened
and sent again), filtered or refused (this very message), failed. Endpoints report them by HTTP status, by an error's
`code` and `type`, or in words only; the words of each provider are in `TOO_LONG`. None of these words are logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chatbot_worker.chatbots.protocol import ReplyError
from chatbot_worker.kinds.wire import failures
from chatbot_worker.kinds.wire.json_text import NotJson, loads

CODE_MAX = 60  # characters of an error's code that are logged
CONTEXT_CODES = frozenset(
    {
        "context_length_exceeded",  # OpenAI and most others
        "exceed_context_size_error",  # llama.cpp
        "request_too_large",  # Anthropic
        "model_max_prompt_tokens_exceeded",  # GitHub
        "contextwindowexceedederror",  # LiteLLM
        "context_window_exceeded",
        "model_context_window_exceeded",
        "string_above_max_length",
        "1261",  # Zhipu
    }
)
TOO_LONG = re.compile(
    r"""
    context[ _](length|size|window)[ _]exceeded
    | maximum\ (context|model|prompt|input)\ length                  # OpenAI, vLLM, xAI, DeepSeek, OpenRouter
    | max(imum)?\ (allowed\ )?(input|prompt)\ (length|tokens)
    | (exceed|longer\ than|greater\ than|larger\ than|overflow)[^.]{0,60}context[ _](length|size|window|limit)
    | context\ the\ overflows                                        # LM Studio
    | context[ _](length|size|window|limit)[^.]{0,40}(exceed|overflow|too\ (small|short))   # MiniMax, Ollama
    | (prompt|input|request|messages?)\ (is\ |are\ )?too\ (long|large)                   # Anthropic, Bedrock, Groq
    | prompt\ has\ [\d,]+\ tokens,?\ but
    | token\ count\b.{0,30}exceeds | tokens\ exceeds?\ the\ (configured\ )?(max|limit)     # Gemini, GitHub, OpenAI
    | max_tokens\ must\ be\ at\ least\ 1,\ got                          # vLLM: the prompt fills the context exactly
    | exceeded\ model\ token\ limit                                  # Moonshot
    | too\ many\ (input\ )?tokens                                    # Cohere
    | token\ limit\ exceeded
    | reduce\ (the\ |your\ )?(length|prompt|number\ of\ (input\ )?tokens)                # Groq, OpenAI, vLLM
    | too\ large\ for\ model                                         # Mistral
    | \binputs?`?\ (tokens|must\ have\ less\ than)                   # TGI, Together
    | range\ of\ input\ length                                       # Alibaba
    | prompt\ 超长 | 上下文长度
    """,
    re.IGNORECASE | re.VERBOSE,
)
NOT_TOO_LONG = re.compile(
    r"deadline exceeded|context canceled|rate.?limit reached|quota|^\W*max_\w*tokens\b(?! must be at least)",
    re.IGNORECASE,
)
TOO_LARGE = re.compile(r"request too large|reduce your message size", re.IGNORECASE)  # a single request, at 429 and 413
FILTER = re.compile(
    r"content.?(filter|policy|moderation)|responsibleaipolicy|moderation|prohibited.?content|data_inspection_failed"
    r"|input was flagged|flagged (as|by|for)|usage polic",
    re.IGNORECASE,
)
OPERATOR = re.compile(  # codes and words of an error that only the operator can end
    r"""
    insufficient.?(quota|balance|credits|funds) | billing | credit\ balance | payment\ required
    | model.?not.?found | model_not_\w+ | unknown.?model | invalid.?model | no\ such\ model
    | model\b.{0,80}\b(not\ found|not\ exist|does\ ?n[o']t\ exist|not\ supported|not\ loaded
        | decommissioned|deprecated)
    | not\ an?\ (valid\ )?(chat|llm|language|model) | no\ models?\ (loaded|found) | embedding
    | (does\ not|doesn't)\ support\ (chat|completion|generat) | support\ generation
    | api.?key | unauthorized | authentication | permission.?denied | access.?denied
    | invalid[ _]param | ^\W*max_\w*tokens\b
    | (unsupported|unknown|unrecognized|unexpected)[ _](request\ )?(parameter|param|argument|field|value|name|key)
    | parameters?\b.{0,60}\bnot\ (supported|permitted|allowed) | not\ supported\ with\ this\ model
    | extra\ (inputs|fields)\ (are\ )?not\ permitted | extra_forbidden | only\ the\ default\ \(\d\)\ value
    | use\ '?max_completion_tokens | property\ '.{1,60}'\ is\ unsupported
    """,
    re.IGNORECASE | re.VERBOSE,
)
ROLES = re.compile(r"system role|role.{0,20}\bsystem\b.{0,40}not|only user(,| and) assistant", re.IGNORECASE)
OVERLOADED = re.compile(r"overloaded|rate.?limit|too.?many.?requests|resource.?exhausted|server.?busy", re.IGNORECASE)


class ContextOverflow(ReplyError):
    """The prompt is longer than the model's context."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, retryable=False, view=failures.OVERFLOW)


class SystemRoleRefused(ReplyError):
    """The model's chat template knows no system prompt."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, retryable=False, refused=False, view=failures.NOT_SET_UP)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The codes and the words of an error, as far as present. Words may quote users."""

    codes: tuple[str, ...] = ()
    words: str = ""

    @property
    def code(self) -> str:
        """The code to log: the most specific one."""
        known = (code for code in self.codes if code.lower() in CONTEXT_CODES)
        named = (code for code in self.codes if not code.isdigit() and code not in ("error", "invalid_request_error"))
        return next(known, None) or next(named, None) or next(iter(self.codes), "")


def read_error(body: bytes) -> ErrorBody:
    """Read the body of an error response."""
    try:
        return describe(loads(body))
    except NotJson:
        return ErrorBody()


def describe(found: Any) -> ErrorBody:
    """Read an error of any known shape: words, an object, its `error`, `errors` or `detail`, or a list of these."""
    codes: list[str] = []
    words: list[str] = []
    for error in _nested(found, 0):
        if isinstance(error, str):
            words.append(error)
            continue
        names = (error.get(field) for field in ("code", "type", "status", "reason", "status_code", "param_code"))
        codes += [str(name) for name in names if isinstance(name, str | int) and not isinstance(name, bool)]
        words += [error[field] for field in ("message", "msg", "status_msg") if isinstance(error.get(field), str)]
    return ErrorBody(tuple(filter(None, map(_plain, dict.fromkeys(codes)))), " ".join(words)[:4_000])


def judge(body: ErrorBody, status: int | None = None, retry_after: float | None = None) -> ReplyError:
    """Return the error for an error response. `status` is none for an error within a stream."""
    code, reason = body.code, f"status {status}" if status else "error in the stream"
    reason += f", {code}" if code else ""
    text = f"{body.words} {' '.join(body.codes)}"
    numbers = [int(name) for name in body.codes if name.isdigit() and 400 <= int(name) < 600]
    known = status or next(iter(numbers), None)
    if _overflows(body, status):
        return ContextOverflow(reason)
    if known in (None, 400, 403, 422) and FILTER.search(text):
        return failures.filtered(reason)
    if known in (None, 400, 422, 500) and ROLES.search(body.words):
        return SystemRoleRefused(reason)
    if known in (None, 400, 404, 422, 429) and OPERATOR.search(_about_operator(body, known)):
        return failures.misconfigured(reason)
    return _within_stream(reason, known, text) if status is None else failures.of_status(status, code, retry_after)


def _within_stream(reason: str, known: int | None, text: str) -> ReplyError:
    if known in failures.BUSY_STATUSES or (known is None and OVERLOADED.search(text)):
        return failures.busy(reason)
    return failures.misconfigured(reason) if known in (401, 402, 403, 404) else failures.broken(reason)


def _about_operator(body: ErrorBody, status: int | None) -> str:
    """Return the part of an error that may show that the operator must act. A rate limit's words name the model."""
    codes = " ".join(body.codes)
    return codes if status == 429 else f"{body.words} {codes}"


def _overflows(body: ErrorBody, status: int | None) -> bool:
    if status == 413 or any(code.lower() in CONTEXT_CODES for code in body.codes):
        return True
    if TOO_LARGE.search(body.words):
        return status in (None, 400, 422, 429)
    if status not in (None, 400, 422) or NOT_TOO_LONG.search(body.words):
        return False
    return TOO_LONG.search(body.words) is not None


def _nested(found: Any, depth: int) -> Iterator[Mapping[str, Any] | str]:
    """Yield an error and the errors within it."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, list):
        for each in found[:8]:
            yield from _nested(each, depth + 1)
    elif isinstance(found, dict) and depth < 6:
        yield found
        for field in ("error", "errors", "detail", "details", "base_resp"):
            if field in found:
                yield from _nested(found[field], depth + 1)


def _plain(code: str) -> str:
    """Return a code that may be logged: a provider must not write users' text into the log."""
    short = code[:CODE_MAX]
    return short if short.isascii() and short.replace("_", "").replace("-", "").replace(".", "").isalnum() else ""
