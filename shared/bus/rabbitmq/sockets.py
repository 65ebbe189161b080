"""Sockets of connections: closed at once if necessary, with the reason why the broker refused the login.

aiormq reports a refused virtual host as an unexpected frame, without the reply code and the reason in it.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aio_pika.exceptions import AMQPConnectionError
from pamqp import commands, frame
from pamqp.exceptions import UnmarshalingException
from yarl import URL

HANDSHAKE_BYTES_MAX = 64 * 1024
READ_LIMIT = 64 * 1024  # bytes; the default of asyncio


class ConnectionRefused(AMQPConnectionError):
    """The broker closed the connection during the login."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


class HandshakeReader(asyncio.StreamReader):
    """A reader that keeps the first bytes that it receives."""

    def __init__(self) -> None:
        super().__init__(limit=READ_LIMIT, loop=asyncio.get_running_loop())
        self.handshake: bytes | None = b""

    def feed_data(self, data: Any) -> None:
        """Receive bytes from the transport."""
        if self.handshake is not None and len(self.handshake) < HANDSHAKE_BYTES_MAX:
            self.handshake += bytes(data)
        super().feed_data(data)


class Sockets:
    """aiormq's transport factory: opens a connection's socket and keeps it, so that `abort` can close it at once."""

    def __init__(self) -> None:
        self._reader: HandshakeReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open TCP or TLS; `ssl_context_provider` is aiormq's.

        Raises:
            AMQPConnectionError: no broker listens there, or the TLS handshake failed.
        """
        tls = kwargs.pop("ssl_context_provider")
        loop = asyncio.get_running_loop()
        reader = self._reader = HandshakeReader()
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        try:
            context = await tls.get_context() if url.scheme == "amqps" else None
            transport, _ = await loop.create_connection(
                lambda: protocol, url.host or "", url.port or 0, ssl=context, **kwargs
            )
        except OSError as error:
            raise AMQPConnectionError(*error.args) from error
        self._writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        return reader, self._writer

    def opened(self) -> None:
        """Forget the bytes of the login, which succeeded."""
        if self._reader is not None:
            self._reader.handshake = None

    def refusal(self) -> ConnectionRefused | None:
        """Return what the broker said when it closed the connection during the login, if it did."""
        left = (self._reader and self._reader.handshake) or b""
        while left:
            try:
                size, _, found = frame.unmarshal(left)
            except UnmarshalingException:
                return None
            if isinstance(found, commands.Connection.Close):
                return ConnectionRefused(found.reply_code or 0, found.reply_text or "")
            left = left[size:]
        return None

    def abort(self) -> None:
        """Close the socket without flushing."""
        if self._writer is not None:
            self._writer.transport.abort()
