"""Several people in one room, each with a device on some gateway; what they see must be the same, in the same order."""

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
    """New accounts, for a fixture that many tests share: without an event loop."""

    async def make() -> list[Account]:
        return [await new_account(stack.auth_url) for _ in range(count)]

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(make())).result()


def gateway(stack: Stack, number: int) -> str:
    """The address of a gateway: 0 and 1 are different ones, if there are several."""
    return stack.gateway_urls[number % len(stack.gateway_urls)]


@asynccontextmanager
async def devices(stack: Stack, people: Sequence[Account]) -> AsyncIterator[list[Device]]:
    """A device of each, on one gateway and the other in turn."""
    async with AsyncExitStack() as exits:
        connected = [Device(gateway(stack, number), account.token) for number, account in enumerate(people)]
        yield [await exits.enter_async_context(device) for device in connected]


async def room(owner: Device, *others: Device, chatbots: Sequence[str] = ("echo",), **payload: Any) -> Session:
    """A session of the owner's that the others have accepted an invite to; every device has joined."""
    session = await owner.start_chat(chatbot_ids=list(chatbots), **payload)
    for other in others:
        invite = (await owner.ok("create_invite", session_id=session["id"]))["invite"]
        session = (await other.ok("accept_invite", invite=invite))["session"]
    return session


def numbers(device: Device, session: Session) -> list[int]:
    """The numbers of a session's changes that a device was shown, in order of arrival."""
    found = []
    for event, payload in device.events:
        about = payload.get("id") if event == "session_updated" else payload.get("session_id")
        if event in NUMBERED and about == session["id"]:
            found.append(payload[NUMBERED[event]])
    return [number for number in found if number > 0]  # creation takes none


def ascend(device: Device, session: Session) -> bool:
    """Whether each number came once, ascending (contract §3)."""
    seen = numbers(device, session)
    return all(earlier < later for earlier, later in pairwise(seen))


def messages(device: Device, session: Session) -> list[Message]:
    """The session's messages in their places, as the device last saw each of them."""
    held: dict[str, Message] = {}
    for event, message in device.received("message", "message_updated", session=session):
        assert event == "message" or message["id"] in held, "an update of what was never shown"
        held[message["id"]] = message
    return sorted(held.values(), key=lambda message: int(message["seq"]))


async def settled(device: Device, session: Session, count: int) -> list[Message]:
    """All messages, once there are so many."""
    await device.until_all(lambda: len(messages(device, session)) >= count, f"fewer than {count} messages")
    return messages(device, session)
