"""Helpers for sessions with several users, whose devices use different gateways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from typing import Any

from tests.support.client import Account, Device, new_account
from tests.support.stack import Stack

Session = dict[str, Any]
Message = dict[str, Any]

NUMBERED = {"message": "updated_seq", "message_updated": "updated_seq", "session_updated": "seq"}


def register(stack: Stack, count: int) -> list[Account]:
    """Register accounts without an event loop, for module-scoped fixtures."""

    async def make() -> list[Account]:
        return [await new_account(stack.auth_url) for _ in range(count)]

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(make())).result()


def gateway(stack: Stack, number: int) -> str:
    """Return the address of a gateway; 0 and 1 are different gateways if there are several."""
    return stack.gateway_urls[number % len(stack.gateway_urls)]


@asynccontextmanager
async def devices(stack: Stack, people: Sequence[Account]) -> AsyncIterator[list[Device]]:
    """Connect a device of each user, alternating between two gateways."""
    async with AsyncExitStack() as exits:
        connected = [Device(gateway(stack, number), account.token) for number, account in enumerate(people)]
        yield [await exits.enter_async_context(device) for device in connected]


async def room(owner: Device, *others: Device, chatbots: Sequence[str] = ("echo",), **payload: Any) -> Session:
    """Create a session of the owner that every other user enters by an invite; all devices have joined."""
    session = await owner.start_chat(chatbot_ids=list(chatbots), **payload)
    for other in others:
        invite = (await owner.ok("create_invite", session_id=session["id"]))["invite"]
        session = (await other.ok("accept_invite", invite=invite))["session"]
    return session


def numbers(device: Device, session: Session) -> list[int]:
    """Return the sequence numbers of a session that a device has received, in order of arrival."""
    found = []
    for event, payload in device.events:
        about = payload.get("id") if event == "session_updated" else payload.get("session_id")
        if event in NUMBERED and about == session["id"]:
            found.append(payload[NUMBERED[event]])
    return [number for number in found if number > 0]  # creation takes none


def ascend(device: Device, session: Session) -> bool:
    """Whether the device has received ascending numbers without a repetition (contract.md §3.6)."""
    seen = numbers(device, session)
    return all(earlier < later for earlier, later in pairwise(seen))


def messages(device: Device, session: Session) -> list[Message]:
    """Return the messages of the session in order, each in the latest state that the device has received."""
    held: dict[str, Message] = {}
    for event, message in device.received("message", "message_updated", session=session):
        assert event == "message" or message["id"] in held, "an update of an unknown message"
        held[message["id"]] = message
    return sorted(held.values(), key=lambda message: int(message["seq"]))


async def wait_for_messages(device: Device, session: Session, count: int) -> list[Message]:
    """Wait until the device has received `count` messages, and return them."""
    await device.until_all(lambda: len(messages(device, session)) >= count, f"fewer than {count} messages")
    return messages(device, session)
