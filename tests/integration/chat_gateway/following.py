"""Streams of a gateway under test."""

from __future__ import annotations

from typing import Any

from tests.integration.chat_gateway.conftest import Running
from tests.support.event_stream import EventStream


def stream(running: Running, session: dict[str, Any], user: str = "ada", **options: Any) -> EventStream:
    token = options.pop("token", None) or running.issuer.token(user)
    return EventStream(f"{running.url}/v1/sessions/{session['id']}/events", token, **options)


def user_stream(running: Running, user: str = "ada", **options: Any) -> EventStream:
    return EventStream(f"{running.url}/v1/events", running.issuer.token(user), **options)
