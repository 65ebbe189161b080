"""Random requests get documented answers, and never a 5xx."""

import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.auth_service.conftest import Running, Serve

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

# The service runs for all examples of a test: each example is a coroutine on the loop of the test.
FUZZ = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def lax(serve: Serve) -> AsyncIterator[Running]:
    """A service without rate limits."""
    async with serve(limits="off") as service:
        yield service


@FUZZ
@given(path=st.sampled_from(["/register", "/login"]), body=bodies, kind=kinds)
async def test_random_body_never_causes_a_server_error(lax: Running, path: str, body: bytes, kind: bytes) -> None:
    answer = await lax.client.post(path, content=body, headers={b"content-type": kind})
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] in CODES


@FUZZ
@given(value=st.binary(max_size=200) | st.binary(max_size=200).map(lambda raw: b"Bearer " + raw))
async def test_random_authorization_is_an_invalid_token(lax: Running, value: bytes) -> None:
    answer = await lax.client.get("/me", headers={b"authorization": value})
    assert answer.status_code == 401
    assert answer.json()["code"] == "token_invalid"
