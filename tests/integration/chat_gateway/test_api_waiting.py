"""`Prefer: wait=N`: a request that waits for the answer to its message, and what ends the wait."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from shared.contracts import ids
from shared.contracts.envelope import Event
from shared.contracts.events import MessageRejected
from shared.contracts.topology import user_key
from shared.contracts.views import ActiveTurn
from shared.errors import Unavailable
from tests.integration.chat_gateway.api import api, refused, started
from tests.integration.chat_gateway.conftest import Running
from tests.support.waiting import until

WAIT = {"Prefer": "wait=20"}


class Asking:
    """A message whose answer a client waits for: the turn is open until `reply`."""

    def __init__(self, gateway: Running, http: httpx2.AsyncClient, session: dict[str, Any]) -> None:
        self.chat = gateway.bus.chats[UUID(session["id"])]
        self.chat.active.append(ActiveTurn(message_id=uuid4(), chatbot_id="eliza"))
        self._gateway = gateway
        self._http = http
        self._path = f"/v1/sessions/{session['id']}/messages"

    def send(self, headers: dict[str, str] = WAIT, content: str = "tea") -> asyncio.Task[httpx2.Response]:
        return asyncio.create_task(self._http.post(self._path, json={"content": content}, headers=headers))

    async def stored(self) -> Any:
        await until(lambda: self.chat.messages)
        return self.chat.messages[0]

    async def asked(self) -> None:
        """Wait until the gateway has asked for an answer that is not complete yet."""
        await until(lambda: "ReadAnswer" in self._gateway.bus.asked)

    def reply(self, message: Any, content: str = "with milk?") -> Any:
        self.chat.active.clear()
        return self._gateway.bus.store(self.chat.session.id, content, reply_to=message.id)


async def test_message_is_answered_when_its_turns_have_ended(running: Running) -> None:
    async with api(running) as http:
        asking = Asking(running, http, await started(http))
        answer = asking.send({"Prefer": "respond-async, wait=100"})
        message = await asking.stored()
        await asking.asked()
        assert not answer.done()
        reply = asking.reply(message)
        ended = await answer
        assert ended.status_code == 200
        assert ended.headers["preference-applied"] == "wait=60", "more than 60 is 60"
        assert ended.json() == {"message": message.to_dict(), "replies": [reply.to_dict()]}


async def test_same_key_is_answered_with_the_present_state(running: Running) -> None:
    async with api(running) as http:
        asking = Asking(running, http, await started(http))
        keyed = {**WAIT, "Idempotency-Key": "k"}
        answer = asking.send(keyed)
        message = await asking.stored()
        first = asking.reply(message)
        assert (await answer).json()["replies"] == [first.to_dict()]
        second = running.bus.store(asking.chat.session.id, "with sugar?", reply_to=message.id)
        running.bus.update(first, superseded_by=second.id)
        again = await asking.send({**keyed, "Prefer": "wait=1"}, content="other")
        assert again.json() == {"message": message.to_dict(), "replies": [second.to_dict()]}


@pytest.mark.parametrize("prefer", ["wait", "wait=0", "wait=-1", "wait=x", 'wait="', "respond-async", "wait=1.5", ""])
async def test_malformed_preference_is_none(running: Running, prefer: str) -> None:
    async with api(running) as http:
        asking = Asking(running, http, await started(http))
        answer = await asking.send({"Prefer": prefer})
        assert answer.status_code == 202
        assert "preference-applied" not in answer.headers
        assert "ReadAnswer" not in running.bus.asked


async def test_wait_that_is_too_short_is_answered_as_without_one(running: Running) -> None:
    async with api(running) as http:
        asking = Asking(running, http, await started(http))
        begun = time.monotonic()
        answer = await asking.send({"Prefer": "wait=1", "Idempotency-Key": "k"})
        assert 0.9 < time.monotonic() - begun < 10
        assert answer.status_code == 202
        message = await asking.stored()
        assert answer.json() == {"message_id": str(message.id), "client_message_id": "k", "status": "accepted"}


@pytest.mark.parametrize(("code", "status"), [("not_found", 404), ("conflict", 409), ("internal", 500)])
async def test_rejected_message_is_answered_with_its_problem(running: Running, code: str, status: int) -> None:
    async with api(running) as http:
        asking = Asking(running, http, await started(http))
        answer = asking.send()
        message = await asking.stored()
        await asking.asked()
        for message_id in (uuid4(), message.id):
            rejected = MessageRejected(
                session_id=message.session_id,
                message_id=message_id,
                client_message_id=None,
                user_id="ada",
                code=code,
            )
            key = user_key(ids.bucket("ada", running.bus.partitions))
            running.bus.subscription.put(key, Event("persistence", rejected))
        refused(await answer, status, code)
        assert (await answer).json()["rejected"] is True


async def test_revocation_ends_a_wait_with_401(running: Running) -> None:
    async with api(running) as http:
        asking = Asking(running, http, await started(http))
        answer = asking.send()
        await asking.asked()
        running.issuer.revoke("login of ada")
        begun = time.monotonic()
        refused(await answer, 401, "token_invalid")
        assert time.monotonic() - begun < 2
        refused(await http.get("/v1/sessions"), 401, "token_invalid")


async def test_stop_of_the_gateway_ends_a_wait_with_202(running: Running) -> None:
    async with api(running) as http:
        asking = Asking(running, http, await started(http))
        answer = asking.send()
        await asking.asked()
        assert running.service.drain
        await running.service.drain()
        assert (await answer).status_code == 202
        refused(await http.get("/v1/sessions"), 503, "unavailable")
        assert int((await http.get("/v1/sessions")).headers["retry-after"]) >= 1


async def test_waiting_request_counts_as_a_socket_and_a_lost_client_frees_its_place(gateway: Running) -> None:
    await gateway.start(sockets_per_user=1)
    async with api(gateway) as http:
        asking = Asking(gateway, http, await started(http))
        answer = asking.send()
        await asking.asked()
        second = await asking.send()
        refused(second, 429, "rate_limited")
        assert int(second.headers["retry-after"]) >= 1
        assert len(asking.chat.messages) == 1, "refused before anything is done"
        answer.cancel()

        async def freed() -> bool:
            return (await asking.send({"Prefer": "wait=1"})).status_code == 202

        await until(freed)


async def test_wait_outlasts_persistence_that_is_away(running: Running) -> None:
    async with api(running) as http:
        asking = Asking(running, http, await started(http))
        running.bus.refuse_queries = Unavailable()
        answer = asking.send()
        await asking.asked()
        reply = asking.reply(await asking.stored())
        running.bus.refuse_queries = None
        assert (await answer).json()["replies"] == [reply.to_dict()]


async def test_session_that_is_deleted_during_a_wait_is_not_found(running: Running) -> None:
    async with api(running) as http:
        session = await started(http)
        asking = Asking(running, http, session)
        answer = asking.send()
        await asking.asked()
        assert (await http.delete(f"/v1/sessions/{session['id']}")).status_code == 204
        refused(await answer, 404, "not_found")
        assert "rejected" not in (await answer).json()
        refused(await asking.send(), 404, "not_found")
