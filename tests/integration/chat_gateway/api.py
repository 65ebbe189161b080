"""Clients of the HTTP API for tests."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2

from tests.integration.chat_gateway.conftest import Running


def api(gateway: Running, user: str = "ada", **headers: str) -> httpx2.AsyncClient:
    """Return a client with a token of a user."""
    bearer = {"Authorization": f"Bearer {gateway.issuer.token(user)}"}
    return httpx2.AsyncClient(base_url=gateway.url, headers=bearer | headers, timeout=20)


async def started(http: httpx2.AsyncClient, **fields: Any) -> dict[str, Any]:
    """Start a session."""
    answer = await http.post("/v1/sessions", json=fields)
    assert answer.status_code == 201, answer.text
    session: dict[str, Any] = answer.json()["session"]
    assert answer.headers["location"] == f"/v1/sessions/{session['id']}"
    return session


async def exchange(gateway: Running, request: str) -> tuple[str, bytes]:
    """Send bytes as they stand, which HTTP clients normalise; return head and body of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request.encode("latin-1"))
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return head.decode("latin-1"), body


def refused(answer: httpx2.Response, status: int, code: str) -> None:
    """Check that an answer is the problem document of an error."""
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["status"] == status
