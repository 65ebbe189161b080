"""Checks an address before a service starts: one that can never work ends it with one line.

A broker that is away is no reason: the service starts, and waits.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError
from aiormq.exceptions import ChannelAccessRefused
from yarl import URL

from shared.bus.rabbitmq.calls import CallFailed, call
from shared.bus.rabbitmq.connection import CLOSE_TIMEOUT, CONNECT_TIMEOUT, Connection, open_channel
from shared.bus.rabbitmq.declarations import declare_exchange
from shared.bus.rabbitmq.frames import probe, underlay_of, write
from shared.bus.rabbitmq.sockets import ConnectionRefused
from shared.contracts.topology import Exchange

ACCESS_REFUSED = 403
TLS_FILES = {"cafile", "certfile", "keyfile"}
# What the broker says of an address that cannot work. All else is for now, such as a limit of connections.
NEVER = re.compile(r"vhost .* not found|access to vhost '.*' refused for user '[^']*'$")


async def refusal(url: str, exchanges: Sequence[Exchange] = ()) -> str | None:
    """Return why this address can never work, as one line without a password; `None` if it works, or for now does not.

    The user must be able to declare these exchanges, to publish to them, and to read an exclusive queue.
    """
    why: str | None = None
    for address in (URL(each.strip()) for each in url.split(",")):
        try:
            if unreadable := _unreadable_file(address):
                return unreadable
            connecting = aio_pika.connect(address, connection_class=Connection)
            connection = await call(connecting, CONNECT_TIMEOUT)
        except (CallFailed, AMQPError) as error:
            why = why or _reason(error)
            continue
        try:
            return await _missing_right(connection, exchanges)
        finally:
            with suppress(CallFailed, AMQPError):
                await call(connection.close(), CLOSE_TIMEOUT)
            connection.abort()
    return why


async def _missing_right(connection: Connection, exchanges: Sequence[Exchange]) -> str | None:
    right = ""
    try:
        channel = await open_channel(connection)
        for exchange in exchanges:
            right = "configure"
            await declare_exchange(channel, exchange)
        name = f"replies.{uuid4()}"
        queue = await call(channel.declare_queue(name, exclusive=True, arguments={"x-queue-type": "classic"}))
        right = "read"
        await call(queue.consume(_ignore, no_ack=True))
        right = "write"
        await call(channel.transaction().select())
        for exchange in exchanges:
            if exchange.kind != "fanout":
                await _publish_nothing(channel, exchange)
    except ChannelAccessRefused as error:
        return f"{ACCESS_REFUSED} {error.args[0] if error.args else error}; the right {right} is missing"
    except (CallFailed, AMQPError):  # for now: an alarm, a restart
        return None
    return None


async def _ignore(_message: AbstractIncomingMessage) -> None:
    """Take a message, of which there is none."""


async def _publish_nothing(channel: AbstractChannel, exchange: Exchange) -> None:
    """Publish a message that is never committed; the broker answers the next call with an error if it refuses it."""
    write(await underlay_of(channel), probe(exchange.name))
    await declare_exchange(channel, exchange)


def _unreadable_file(address: URL) -> str | None:
    """Return which file of TLS cannot be read; the errors of the library do not name it."""
    for name in TLS_FILES & address.query.keys():
        try:
            Path(address.query[name]).read_bytes()
        except OSError as error:
            return f"{name} {address.query[name]}: {error.strerror}"
    return None


def _reason(error: BaseException) -> str | None:
    for cause in _causes(error):
        match cause:
            case ConnectionRefused(code=code, text=text):
                return str(cause) if code == ACCESS_REFUSED or NEVER.search(text) else None
            case ssl.SSLError():
                return f"TLS failed: {getattr(cause, 'verify_message', None) or cause.reason or cause}"
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
