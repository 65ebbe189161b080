"""Which connects are accepted (contract.md §2, §3.1)."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import jwt
import pytest
import socketio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.integration.chat_gateway.conftest import Client, Running
from tests.integration.chat_gateway.raw import raw
from tests.support.forged_tokens import forged_tokens
from tests.support.waiting import until


async def refusal(running: Running, auth: Any, **options: Any) -> Any:
    client = Client()
    with pytest.raises(socketio.exceptions.ConnectionError):
        await client.connect(running.url, **{"auth": auth, "transports": ["websocket"], **options})
    await client.disconnect()
    return client.refusal["data"]["code"] if isinstance(client.refusal, dict) else None  # else: not even a connect


async def test_token_in_the_header_is_accepted(running: Running) -> None:
    """`Authorization: Bearer`, for clients that send no `auth`."""
    headers = {"Authorization": "bearer " + running.issuer.token("ada")}
    client = await running.client("ada", auth=None, headers=headers)
    assert client.told("ready")[0]["user_id"] == "ada"


@pytest.mark.parametrize(
    "auth",
    [
        None,
        {},
        {"token": ""},
        {"token": "x"},
        {"token": 7},
        {"token": True},
        {"token": ["x"]},
        {"token": {"a": 1}},
        {"token": "ä.b.c"},
        {"token": "a.b.c"},
        {"token": "x" * 5_000},
        {"token": "eyJhbGciOiJub25lIn0.e30."},
        {"other": 1},
        1,
        [1],
        "token",
        True,
    ],
)
async def test_connect_without_a_valid_token_is_refused(running: Running, auth: Any) -> None:
    """Every shape of nonsense is a refusal with a code, and leaves nothing behind."""
    assert await refusal(running, auth) == "unauthenticated"
    server = running.server
    await until(lambda: not server.manager.rooms)
    assert not server.manager.pending_connect
    assert not server._connecting


@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "iat", "nbf", "sub", "sid", "jti"])
async def test_every_claim_is_required(running: Running, claim: str) -> None:
    assert await refusal(running, {"token": running.issuer.token("ada", drop=claim)}) == "unauthenticated"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "somebody"},
        {"aud": "other"},
        {"sub": ""},
        {"sid": 7},
        {"nbf": int(time.time()) + 3_600},
        {"iat": int(time.time()) + 3_600},
        {"exp": 10**30},
    ],
)
async def test_invalid_claims_are_refused(running: Running, claims: dict[str, Any]) -> None:
    assert await refusal(running, {"token": running.issuer.token("ada", **claims)}) == "unauthenticated"


async def test_expired_token_is_refused_with_its_own_code(running: Running) -> None:
    token = running.issuer.token("ada", exp=int(time.time()) - 1)
    assert await refusal(running, {"token": token}) == "token_expired"


async def test_foreign_keys_and_algorithms_are_refused(running: Running) -> None:
    """A foreign key, a foreign `kid`, HMAC with the public key: no."""
    issuer = running.issuer
    claims = jwt.decode(issuer.token("ada"), options={"verify_signature": False})
    foreign = Ed25519PrivateKey.generate()
    public = issuer.key.public_key().public_bytes_raw()
    for token in (
        jwt.encode(claims, foreign, algorithm="EdDSA", headers={"kid": issuer.kid}),
        jwt.encode(claims, foreign, algorithm="EdDSA", headers={"kid": "../../etc/passwd"}),
        jwt.encode(claims, foreign, algorithm="EdDSA"),
        jwt.encode(claims, public, algorithm="HS256", headers={"kid": issuer.kid}),
        issuer.token("ada", headers={"crit": ["x"], "x": 1}),
    ):
        assert await refusal(running, {"token": token}) == "unauthenticated"


async def test_new_key_is_fetched_when_it_is_first_used(running: Running) -> None:
    """And an unknown one does not make us ask again and again."""
    running.issuer.rotate()
    running.keys_asked_long_ago()
    await running.client("ada")
    fetched = running.issuer.fetches
    running.issuer.kid = "unknown"
    for _ in range(5):
        assert await refusal(running, {"token": running.issuer.token("ada")}) == "unauthenticated"
    assert running.issuer.fetches == fetched


async def test_loaded_keys_stay_valid_while_auth_is_down(running: Running) -> None:
    running.issuer.down = True
    await running.client("ada")
    running.issuer.rotate()
    running.keys_asked_long_ago()
    assert await refusal(running, {"token": running.issuer.token("ada")}) == "unavailable"


async def test_connects_are_unavailable_before_the_first_keys(gateway: Running) -> None:
    """`unavailable`, and readiness names the keys; then connects succeed."""
    gateway.issuer.down = True
    await gateway.start(ready=False)
    assert "keys" in gateway.service.missing()
    assert await refusal(gateway, {"token": gateway.issuer.token("ada")}) == "unavailable"
    gateway.issuer.down = False
    await until(lambda: not gateway.service.missing())
    await gateway.client("ada")


async def test_readiness_names_the_broker_and_the_log(gateway: Running) -> None:
    gateway.bus.connected = gateway.bus.log_there = False
    await gateway.start(ready=False)
    await until(lambda: set(gateway.service.missing()) == {"broker", "log"})
    assert await refusal(gateway, {"token": gateway.issuer.token("ada")}) == "unavailable"


async def test_sockets_of_one_user_are_bounded(gateway: Running) -> None:
    await gateway.start(sockets_per_user=2)
    first, _ = await gateway.client("ada"), await gateway.client("ada")
    assert await refusal(gateway, {"token": gateway.issuer.token("ada")}) == "rate_limited"
    await gateway.client("bob")
    await first.disconnect()
    await until(lambda: gateway.metric("sockets") == 2)
    await gateway.client("ada")


@pytest.mark.parametrize(
    ("allowed", "origin", "let_in"),
    [
        ("", None, True),
        ("", "own", True),
        ("", "https://evil.example", False),
        ("", "null", False),
        ("https://chat.example", "https://chat.example", True),
        ("https://chat.example", "https://evil.example", False),
        ("https://chat.example", None, True),
    ],
)
async def test_only_allowed_origins_may_connect(
    gateway: Running, allowed: str, origin: str | None, *, let_in: bool
) -> None:
    """A configured list, or our own origin by default; a client without an origin is not a browser."""
    await gateway.start(allowed_origins=allowed)
    headers = {} if origin is None else {"Origin": gateway.url if origin == "own" else origin}
    if let_in:
        await gateway.client("ada", headers=headers)
    else:
        assert await refusal(gateway, {"token": gateway.issuer.token("ada")}, headers=headers) is None


async def test_client_that_disconnects_during_its_connect_leaves_no_state(running: Running) -> None:
    """The bind of its bucket takes a while; the client does not wait."""
    running.bus.subscription.bind_gate.clear()
    client = Client()
    connecting = asyncio.create_task(
        client.connect(running.url, auth={"token": running.issuer.token("zoe")}, transports=["websocket"], wait=False)
    )
    await until(lambda: running.server._connecting)
    await connecting
    for connection in running.server.connections:
        connection.abort()
    running.bus.subscription.bind_gate.set()
    await until(lambda: not running.server._connecting and not running.server.manager.rooms)
    assert running.metric("sockets") == 0
    assert not running.server.eio.sockets
    await client.disconnect()


async def test_forged_tokens_are_refused_by_a_real_socket(running: Running) -> None:
    """A sample of those in tests/unit/chat_gateway/identity/test_forged_tokens.py is refused one by one."""
    issuer = running.issuer
    claims = jwt.decode(issuer.token("ada"), options={"verify_signature": False})
    sample = [token for _, token in forged_tokens(issuer.key, issuer.kid, claims)][::37]
    assert len(sample) > 100
    for at in range(0, len(sample), 15):
        async with raw(running, None) as client:
            for token in sample[at : at + 15]:
                await client.say("40" + json.dumps({"token": token}))
                refused = json.loads((await client.hear("4"))[2:])
                assert refused["data"]["code"] in ("unauthenticated", "token_expired")
    assert running.metric("connects_total", code="ok") == 0
    await until(lambda: not running.server.manager.rooms)
