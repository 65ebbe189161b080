"""Each service does its work with the rights that `deploy/` gives it, and is refused everything else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiormq
import httpx2
import psycopg
import pytest
from aiormq.abc import AbstractChannel
from psycopg.errors import InsufficientPrivilege
from yarl import URL

from deploy import secrets
from shared.runtime.credentials import is_weak_address
from tests.integration.deploy.conftest import LeastPrivilegedStack, Rights
from tests.support.client import PATIENCE, Device, new_account
from tests.support.waiting import until

SQL = [
    ("auth_service", "SELECT content FROM chat.chat_messages"),
    ("auth_service", "SELECT id FROM chat.chat_sessions"),
    ("auth_service", "CREATE TABLE auth.mine (id int)"),
    ("auth_service", "DROP TABLE auth.users"),
    ("auth_service", "TRUNCATE auth.users"),
    ("auth_service", "CREATE SCHEMA mine"),
    ("persistence_worker", "SELECT passcode_hash FROM auth.users"),
    ("persistence_worker", "DELETE FROM auth.logins"),
    ("persistence_worker", "ALTER TABLE chat.chat_messages ADD COLUMN mine int"),
    ("persistence_worker", "DROP TABLE chat.chat_messages"),
    ("persistence_worker", "CREATE TABLE public.mine (id int)"),
    ("persistence_worker", "COPY chat.settings TO PROGRAM 'true'"),
]
PUBLISH = [
    ("auth_service", "chat.log.4", "0"),
    ("auth_service", "chat.delivery", "s.0"),
    ("chat_gateway", "accounts", "user.deleted"),
    ("chat_gateway", "chat.turns", "eliza"),
    ("chat_gateway", "chat.catalogue", ""),
    ("chat_gateway", "", "persistence.4.p.0"),
    ("chatbot_worker", "accounts", "user.deleted"),
    ("chatbot_worker", "", "persistence.accounts"),
]
CONSUME = [
    ("auth_service", "persistence.accounts"),
    ("chat_gateway", "persistence.4.p.0"),
    ("chat_gateway", "turns.eliza"),
    ("chatbot_worker", "persistence.queries"),
    ("chatbot_worker", "persistence.4.p.0"),
]
DECLARE = [("auth_service", "mine"), ("chat_gateway", "persistence.mine"), ("chatbot_worker", "delivery.mine")]


@asynccontextmanager
async def refused_channel(url: str) -> AsyncIterator[AbstractChannel]:
    """Open a channel and assert that the broker refuses access inside the block."""
    connection = await aiormq.connect(URL(url))
    try:
        channel = await connection.channel(publisher_confirms=True)
        with pytest.raises(aiormq.exceptions.ChannelAccessRefused):
            yield channel
    finally:
        await connection.close()


async def test_services_work_with_their_rights(stack: LeastPrivilegedStack) -> None:
    account = await new_account(stack.auth_url)
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat()
        await device.ok("send_message", session_id=session["id"], content="Hello", client_message_id="1")
        await device.until("message", lambda message: message["sender_type"] == "chatbot")
        assert [message["seq"] for message in await device.history(session)] == [1, 2]
        await device.ok("update_chat", session_id=session["id"], title="Least privilege")


async def test_account_deleted_while_sending_leaves_no_message_text(stack: LeastPrivilegedStack) -> None:
    """Over two gateways, PostgreSQL and RabbitMQ: from the outbox of auth to the erasure, while both users keep sending."""
    ada, eve = await new_account(stack.auth_url), await new_account(stack.auth_url)
    first, second = stack.gateway_urls
    async with Device(first, ada.token) as a, Device(second, eve.token) as e:
        session = await a.start_chat("echo", reply_policy="silent")
        invite = (await a.ok("create_invite", session_id=session["id"]))["invite"]
        await e.ok("accept_invite", invite=invite)
        await e.send(session, "forget me")

        async def leave() -> int:
            async with httpx2.AsyncClient(base_url=stack.auth_url, timeout=PATIENCE) as http:
                bearer = {"Authorization": f"Bearer {eve.token}"}
                answer = await http.request("DELETE", "/me", json={"passcode": eve.passcode}, headers=bearer)
            return answer.status_code

        last_words = [asyncio.create_task(e.call("send_message", say(session, f"eve {n}"))) for n in range(20)]
        said, status = await asyncio.gather(asyncio.gather(*(a.send(session, f"ada {n}") for n in range(20))), leave())
        assert status == 204
        await until(lambda: not e.client.connected, PATIENCE)
        for task in last_words:
            task.cancel()
        await asyncio.gather(*last_words, return_exceptions=True)

        async def erased() -> bool:
            return not any(m["content"] and m["sender_id"] == eve.id for m in await a.history(session))

        await until(erased, 3 * PATIENCE, every=0.1)
        history = await a.history(session)
        assert [m["id"] for m in history if m["sender_id"] == ada.id] == said
        assert {m["status"] for m in history if m["sender_id"] == eve.id} == {"erased"}
        assert len({m["seq"] for m in history}) == len(history)
        assert (await a.ok("join_chat", session_id=session["id"]))["session"]["users"] == [ada.id]


def say(session: dict[str, Any], content: str) -> dict[str, Any]:
    return {"session_id": session["id"], "content": content}


@pytest.mark.parametrize(("service", "statement"), SQL)
async def test_database_refuses_foreign_statements(
    stack: LeastPrivilegedStack, rights: Rights, service: str, statement: str
) -> None:
    assert stack
    with (
        psycopg.connect(rights.database(service).replace("+asyncpg", "")) as connection,
        pytest.raises(InsufficientPrivilege),
    ):
        connection.execute(statement)


@pytest.mark.parametrize(("service", "exchange", "key"), PUBLISH)
async def test_broker_refuses_foreign_publications(
    stack: LeastPrivilegedStack, rights: Rights, service: str, exchange: str, key: str
) -> None:
    assert stack
    async with refused_channel(rights.broker(service)) as channel:
        await channel.basic_publish(b"[]", exchange=exchange, routing_key=key)


@pytest.mark.parametrize(("service", "queue"), CONSUME)
async def test_broker_refuses_foreign_consumers(
    stack: LeastPrivilegedStack, rights: Rights, service: str, queue: str
) -> None:
    assert stack
    async with refused_channel(rights.broker(service)) as channel:
        await channel.basic_get(queue)


@pytest.mark.parametrize(("service", "queue"), DECLARE)
async def test_broker_refuses_foreign_declarations(
    stack: LeastPrivilegedStack, rights: Rights, service: str, queue: str
) -> None:
    assert stack
    async with refused_channel(rights.broker(service)) as channel:
        await channel.queue_declare(queue, durable=True)


async def test_passwords_are_generated_once_and_are_unique(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("once")
    secrets.main(directory)
    made = {path: path.read_text() for path in directory.rglob("*") if path.is_file()}
    secrets.main(directory)
    assert made == {path: path.read_text() for path in directory.rglob("*") if path.is_file()}
    passwords = [text for path, text in made.items() if path.parent.name == "postgres"]
    assert len(set(passwords)) == len(passwords) == 4
    (definitions,) = (json.loads(text) for path, text in made.items() if path.name == "definitions.json")
    assert [user["name"] for user in definitions["users"]] == list(secrets.SERVICES), "and no guest"
    addresses = [text for text in made.values() if "://" in text]
    assert len(addresses) == 7
    assert not any(map(is_weak_address, addresses)), "what is made is taken"
