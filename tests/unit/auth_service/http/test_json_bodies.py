"""Reading JSON bodies within a time limit."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from auth_service.http import json_bodies
from auth_service.http.json_bodies import BodyTimeout
from auth_service.http.problems import problem_response
from auth_service.http.schemas import Credentials, Refresh
from shared.errors import UnsupportedMediaType


def request(*parts: bytes, kind: bytes | None = b"application/json", ends: bool = True) -> Request:
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if ends:
        messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Any:
        return messages.pop(0) if messages else await asyncio.Future()

    headers = [(b"content-type", kind)] if kind else []
    return Request({"type": "http", "method": "POST", "path": "/login", "headers": headers}, receive)


async def test_unfinished_body_is_refused_after_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is closed, or the rest would be read as the next request."""
    monkeypatch.setattr(json_bodies, "BODY_TIMEOUT", 0.05)
    with pytest.raises(BodyTimeout) as caught:
        await json_bodies.read_json(request(b'{"id":', ends=False), Credentials)
    answer = problem_response(caught.value)
    assert (answer.status_code, answer.headers["connection"]) == (422, "close")


async def test_body_in_parts_is_accepted() -> None:
    form = await json_bodies.read_json(request(b'{"id":"A",', b'"passcode":"x"}'), Credentials)
    assert (form.id, form.passcode) == ("a", "x")


async def test_missing_body_is_an_empty_form_only_if_optional() -> None:
    assert (await json_bodies.read_json(request(kind=None), Refresh, optional=True)).refresh_token is None
    for given in (request(kind=None), request(b"x=1", kind=None), request(b"{}", kind=b"text/plain")):
        with pytest.raises(UnsupportedMediaType):
            await json_bodies.read_json(given, Refresh)
    with pytest.raises(UnsupportedMediaType):
        await json_bodies.read_json(request(b"x=1", kind=None), Refresh, optional=True)
