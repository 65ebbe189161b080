"""Whatever an endpoint says, reading it yields text or a `ReplyError`, and nothing else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatbot_worker.chatbots.protocol import LengthReached, ReplyError
from chatbot_worker.kinds.wire.assembly import Assembly, Habits
from chatbot_worker.kinds.wire.chunks import Chunk, read_chunk
from chatbot_worker.kinds.wire.model_lists import chat_models
from chatbot_worker.kinds.wire.refusals import judge, read_error

FIELDS = st.sampled_from(
    [
        "choices",
        "delta",
        "message",
        "content",
        "text",
        "reasoning",
        "reasoning_details",
        "finish_reason",
        "error",
        "detail",
        "code",
        "type",
        "object",
        "id",
        "capabilities",
    ]
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
    judge(read_error(json.dumps(value).encode()), 400)
    chat_models(json.dumps({"data": value}).encode())
    chat_models(json.dumps(value).encode())


@given(st.lists(st.dictionaries(FIELDS, anything, max_size=4) | anything, max_size=4))
def test_any_stream(values: list[Any]) -> None:
    """It yields pieces, and ends as complete or with an error of the reply."""
    assembly = Assembly(Habits())
    with contextlib.suppress(ReplyError, LengthReached):
        for value in values:
            list(assembly.take("message", json.dumps(value)))
        assembly.end()
        assembly.check()


@given(st.text())
def test_any_text(data: str) -> None:
    with contextlib.suppress(ReplyError):
        read_chunk(data)


def test_a_code_is_logged_and_words_are_not() -> None:
    """A provider quotes what people wrote."""
    for code in ("ada said: my secret", "x" * 500, "überraschung!"):
        with pytest.raises(ReplyError) as error:
            read_chunk(json.dumps({"error": {"code": code, "message": "my secret"}}))
        assert "secret" not in error.value.reason
        assert len(error.value.reason) < 120
