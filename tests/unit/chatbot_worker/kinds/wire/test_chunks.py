"""Whatever an endpoint says, reading it yields text or a `ReplyError`, and nothing else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_worker.chatbots.protocol import ReplyError
from chatbot_worker.kinds.wire.chunks import Chunk, ContextOverflow, error_of, overflows, read_chunk
from chatbot_worker.kinds.wire.failures import of_status

FIELDS = st.sampled_from(
    ["choices", "delta", "message", "content", "text", "finish_reason", "error", "code", "type", "object"]
)
anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(FIELDS, anything, max_size=4) | anything)
def test_any_json(value: Any) -> None:
    """In the shape that is expected, or in any other."""
    try:
        assert isinstance(read_chunk(json.dumps(value)), Chunk)
    except ReplyError as error:
        assert len(error.reason) < 120
    overflows(*error_of(json.dumps(value).encode()))


@given(st.text())
def test_any_text(data: str) -> None:
    with contextlib.suppress(ReplyError):
        read_chunk(data)


@pytest.mark.parametrize(
    "error",
    [
        {"code": "context_length_exceeded", "message": "This model's maximum context length is 8192 tokens."},
        {"code": 400, "type": "exceed_context_size_error", "message": "request (5031 tokens) exceeds"},
        {"type": "BadRequestError", "message": "This model's maximum context length is 4096 tokens. However …"},
    ],
)
def test_a_prompt_that_is_too_long_is_known_as_such(error: dict[str, Any]) -> None:
    """OpenAI, llama.cpp and vLLM each say it in their way."""
    assert overflows(*error_of(json.dumps({"error": error}).encode()))
    with pytest.raises(ContextOverflow):
        read_chunk(json.dumps({"error": error}))


def test_a_code_is_logged_and_words_are_not() -> None:
    """A provider quotes what people wrote."""
    for code in ("ada said: my secret", "x" * 500, "überraschung!"):
        with pytest.raises(ReplyError) as error:
            read_chunk(json.dumps({"error": {"code": code, "message": "my secret"}}))
        assert "secret" not in error.value.reason
        assert len(error.value.reason) < 120


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 0.5 ", 0.5),
        ("99999999", 3_600.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("-1", None),
        (None, None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert of_status(429, header).retry_after == seconds
    assert of_status(503, header).retry_after == seconds
