"""Sessions with several members on a scripted bus."""

from __future__ import annotations

from typing import Any

from tests.integration.chat_gateway.conftest import Client, Running, start_chat

Session = dict[str, Any]


async def ok(client: Client, event: str, **payload: Any) -> dict[str, Any]:
    ack = await client.call(event, payload, timeout=20)
    assert ack["ok"], (event, ack)
    return ack


async def code(client: Client, event: str, **payload: Any) -> str:
    ack = await client.call(event, payload, timeout=20)
    assert not ack["ok"], (event, ack)
    return ack["error"]["code"]


async def room(running: Running, *others: str) -> tuple[Session, list[Client]]:
    """A session of ada that further users joined by an invite; all sockets have joined."""
    ada = await running.client("ada")
    session = await start_chat(ada)
    clients = [ada]
    for user in others:
        invite = (await ok(ada, "create_invite", session_id=session["id"]))["invite"]
        clients.append(await running.client(user))
        session = (await ok(clients[-1], "accept_invite", invite=invite))["session"]
    return session, clients
