"""Text has no effect on databases, shells or templates, and is returned unchanged (ASVS 1.2, 1.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx2
import pytest

from tests.integration.security.fuzz import TROUBLE
from tests.integration.security.injections import STRINGS
from tests.support.client import PATIENCE, Device, new_account
from tests.support.figures import Figure
from tests.support.stack import Stack


@pytest.mark.timeout(150)
async def test_texts_are_stored_unchanged_or_refused(
    stack: Stack, record_property: Callable[[str, object], None]
) -> None:
    """As a message, a title, a query, a client id and an id: kept word for word, or refused as a wrong form."""
    ada, bob = await new_account(stack.auth_url), await new_account(stack.auth_url)
    async with Device(stack.gateway_urls[0], ada.token) as a, Device(stack.gateway_urls[0], bob.token) as b:
        secret = await b.start_chat("echo", title="of bob")
        await b.reply_to(await b.send(secret, "for bob alone"))
        session = await a.start_chat("echo", reply_policy="silent")
        for text in STRINGS:
            await a.ok("send_message", session_id=session["id"], content=text)
            found = await a.call("search_messages", {"query": text})
            assert found["ok"] or found["error"]["code"] == "invalid_request", (text, found)
            assert "for bob alone" not in str(found)
            for event in ("join_chat", "accept_invite", "stop_reply", "get_messages"):
                malformed = {"session_id": text, "invite": text, "message_id": text}
                assert await a.error(event, malformed) in {"invalid_request", "not_found"}, (event, text)
            titled = await a.ok("update_chat", session_id=session["id"], title=text)
            assert titled["session"]["title"] == text
        await a.until_all(lambda: len(a.received("message", session=session)) == len(STRINGS), "not all were stored")
        assert [message["content"] for message in await a.history(session)] == list(STRINGS)
        assert len(await b.history(secret)) == 2
    tried = 7 * len(STRINGS) + await _as_credentials(stack)
    assert [line for line in stack.log().splitlines() if TROUBLE.search(line)] == []
    figure = Figure("injection strings", f"{len(STRINGS)} in {tried} places, 0 effects", "0 effects", reached=True)
    record_property("figure", str(figure))


async def _as_credentials(stack: Stack) -> int:
    """Send texts as ids, passcodes and tokens; all must be refused. Return the number of requests."""
    limited = asyncio.Semaphore(8)

    async def refused(http: httpx2.AsyncClient, text: str) -> None:
        bearer = [(b"Authorization", b"Bearer " + text.encode())] if text.isprintable() and text == text.strip() else []
        async with limited:
            for answer in (
                await http.post("/login", json={"id": text, "passcode": text}),
                await http.post("/refresh", json={"refresh_token": text}),
                await http.get("/me", headers=bearer),
                await http.get("/oidc/login", params={"next": text}),
            ):
                assert answer.status_code in {401, 404, 422}, (text, answer.status_code, answer.text)
                assert answer.headers["content-type"] == "application/problem+json"

    async with httpx2.AsyncClient(base_url=stack.auth_url, timeout=PATIENCE) as http:
        await asyncio.gather(*(refused(http, text) for text in STRINGS))
    return 4 * len(STRINGS)
