"""Whatever is sent, it is answered as documented and never a 5xx."""

import asyncio
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.database.engine import sqlite_url
from tests.integration.auth_service.conftest import Running, running

CODES = {"invalid_request", "weak_passcode", "user_exists", "invalid_credentials", "payload_too_large"}
CODES |= {"unsupported_media_type", "token_invalid"}
ids = st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
forms = st.dictionaries(st.sampled_from(["id", "passcode", "roles", "ID", ""]), anything | ids, max_size=5)
bodies = (
    st.binary(max_size=300)
    | forms.map(lambda form: json.dumps(form).encode())
    | st.text(max_size=200).map(lambda text: json.dumps({"id": "alice", "passcode": text}).encode())
)
kinds = st.sampled_from([b"application/json"] * 8 + [b"", b"text/json", b"application/json;charset=\xff"])

FUZZ = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


async def send(auth: Running, path: str, body: bytes, kind: bytes) -> Any:
    answer = await auth.client.post(path, content=body, headers={b"content-type": kind})
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] in CODES
    return answer


@pytest.mark.parametrize("path", ["/register", "/login"])
async def test_no_body_is_our_fault(path: str) -> None:
    """One service for all examples; each example is a coroutine on the test's own loop."""
    with TemporaryDirectory() as home:
        async with running(sqlite_url(Path(home) / "auth.db"), Path(home) / "keys", limits="off") as auth:
            loop = asyncio.get_running_loop()

            @FUZZ
            @given(bodies, kinds)
            def examples(body: bytes, kind: bytes) -> None:
                asyncio.run_coroutine_threadsafe(send(auth, path, body, kind), loop).result(30)

            await asyncio.to_thread(examples)


async def test_no_authorization_is_our_fault() -> None:
    with TemporaryDirectory() as home:
        async with running(sqlite_url(Path(home) / "auth.db"), Path(home) / "keys", limits="off") as auth:
            loop = asyncio.get_running_loop()

            async def ask(value: bytes) -> None:
                answer = await auth.client.get("/me", headers={b"authorization": value})
                assert answer.status_code == 401
                assert answer.json()["code"] == "token_invalid"

            @FUZZ
            @given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda raw: b"Bearer " + raw))
            def examples(value: bytes) -> None:
                asyncio.run_coroutine_threadsafe(ask(value), loop).result(30)

            await asyncio.to_thread(examples)
