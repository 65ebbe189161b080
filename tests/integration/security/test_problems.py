"""Every HTTP refusal of every service is a problem document (contract.md §1.2).

What is no HTTP at all: `tests/integration/runtime/test_slow_clients.py`.
"""

from __future__ import annotations

import httpx2
import pytest

from tests.support.client import PATIENCE
from tests.support.stack import Stack

POLLING = "/socket.io/?EIO=4&transport=polling"
JSON = {"Content-Type": "application/json"}
REFUSED = [
    ("GET", "/nothing", {}, b"", 404, "not_found"),
    ("GET", "/login", {}, b"", 405, "method_not_allowed"),
    ("TRACE", "/", {}, b"", 405, "method_not_allowed"),
    ("PUT", POLLING, {}, b"", 405, "method_not_allowed"),
    ("GET", "/me", {}, b"", 401, "token_invalid"),
    ("GET", "/me/export", {"Authorization": "Bearer a.b.c"}, b"", 401, "token_invalid"),
    ("POST", "/login", JSON, b"{", 422, "invalid_request"),
    ("POST", "/login", JSON, b'{"id": "nobody-at-all", "passcode": "correct horse"}', 401, "invalid_credentials"),
    ("POST", "/login", {"Content-Type": "text/plain"}, b"{}", 415, "unsupported_media_type"),
    ("POST", "/login", JSON, b" " * 9_000, 413, "payload_too_large"),
    ("POST", "/register", JSON, b'{"id": "mallory", "passcode": "password"}', 422, "weak_passcode"),
    ("GET", POLLING, {"Origin": "https://evil.example"}, b"", 403, "forbidden"),
    ("GET", "/socket.io/?EIO=3&transport=polling", {}, b"", 400, "invalid_request"),
    ("GET", "/socket.io/?EIO=4&transport=carrier-pigeon", {}, b"", 400, "invalid_request"),
    ("GET", f"{POLLING}&sid=none", {}, b"", 400, "invalid_request"),
    ("POST", f"{POLLING}&sid={'x' * 500}", {}, b"40", 400, "invalid_request"),
    ("GET", f"{POLLING}&j=0", {}, b"", 400, "invalid_request"),
]


@pytest.mark.parametrize(("method", "path", "headers", "body", "status", "code"), REFUSED)
async def test_refusal_is_a_problem_document(
    stack: Stack, method: str, path: str, headers: dict[str, str], body: bytes, status: int, code: str
) -> None:
    async with httpx2.AsyncClient(base_url=stack.auth_url, timeout=PATIENCE) as http:
        answer = await http.request(method, path, headers=headers, content=body or None)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert set(problem) == {"type", "title", "status", "detail", "code"}
    assert (problem["status"], problem["code"]) == (status, code)
    assert len(answer.content) < 500, "nobody gets back all that they sent"
