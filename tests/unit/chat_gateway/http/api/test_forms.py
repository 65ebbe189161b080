"""Forms from parameters, bodies and keys."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chat_gateway.http.api import forms
from shared.errors import BackchatError, InvalidRequest, PayloadTooLarge, UnsupportedMediaType

KNOWN = frozenset({"limit", "after_seq", "query", "cursor"})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", {}),
        (b"limit=5&query=tea%20%26+milk", {"limit": 5, "query": "tea & milk"}),
        (b"limit=&query=&cursor", {}),
        (b"limit=007", {"limit": 7}),
        (b"unknown=1&unknown=2&limit=3", {"limit": 3}),
        (b"%6cimit=3", {"limit": 3}),
        (b"after_seq=99999999999999999999", {"after_seq": 99999999999999999999}),
        (b"&&limit=3&", {"limit": 3}),
    ],
)
def test_parameters_are_texts_and_decimal_numbers(query: bytes, expected: dict[str, Any]) -> None:
    assert forms.parameters(query, KNOWN) == expected


@pytest.mark.parametrize(
    "query",
    [
        *(b"limit=5&limit=5", b"limit=5&%6cimit=6", b"limit=&limit=5", b"query=a&query="),
        *(b"limit=+5", b"limit=%2B5", b"limit=-5", b"limit=%205", b"limit=5%0A", b"limit=0x5", b"limit=5.0"),
        *(b"limit=1e3", b"limit=1_000", b"limit=%D9%A5", b"limit=%EF%BC%95", b"limit=" + b"9" * 5_000, b"query=%ff"),
    ],
)
def test_repeated_and_malformed_parameters_are_refused(query: bytes) -> None:
    with pytest.raises(InvalidRequest):
        forms.parameters(query, KNOWN)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], False),
        ([(b"content-length", b"0")], False),
        ([(b"content-type", b"application/json")], True),
        ([(b"content-type", b"Application/JSON; charset=utf-8")], True),
        ([(b"content-length", b"2")], UnsupportedMediaType),
        ([(b"transfer-encoding", b"chunked")], UnsupportedMediaType),
        ([(b"content-type", b"text/plain")], UnsupportedMediaType),
        ([(b"content-type", b"application/json5")], UnsupportedMediaType),
        ([(b"content-type", b"application/problem+json")], UnsupportedMediaType),
        ([(b"content-type", b"text/plain"), (b"content-type", b"application/json")], UnsupportedMediaType),
        ([(b"content-type", b"")], UnsupportedMediaType),
    ],
)
def test_only_json_is_read(headers: list[tuple[bytes, bytes]], expected: bool | type[BackchatError]) -> None:  # noqa: FBT001
    if isinstance(expected, bool):
        assert forms.check_media_type(headers) is expected
    else:
        with pytest.raises(expected):
            forms.check_media_type(headers)


@pytest.mark.parametrize("body", [b"", b"[]", b"1", b"null", b"{", b'{"a":NaN}', b'{"a":"\xff"}', b'{"a":"\\ud800"}'])
def test_body_is_a_json_object(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        forms.json_object(body)


def test_body_that_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        forms.json_object(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


@pytest.mark.parametrize("parts", [[forms.BODY_MAX], [1, forms.BODY_MAX - 1]])
async def test_body_of_the_maximum_size_is_read(parts: list[int]) -> None:
    assert len(await forms.read_body(sending(parts))) == forms.BODY_MAX
    with pytest.raises(PayloadTooLarge):
        await forms.read_body(sending([*parts, 1]))


async def test_body_that_stalls_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "BODY_WITHIN", 0.05)
    with pytest.raises(InvalidRequest):
        await forms.read_body(sending([1], stalls=True))


def sending(parts: list[int], *, stalls: bool = False) -> Any:
    messages = [{"type": "http.request", "body": b"x" * size, "more_body": True} for size in parts]
    if not stalls:
        messages[-1]["more_body"] = False

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    return receive
