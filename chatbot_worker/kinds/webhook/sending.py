"""Sends requests of a webhook, only to addresses that were checked before."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import httpx2
from httpx2 import URL, AsyncClient, Request, Response

from chatbot_worker.kinds.providers.responses import NO_REUSE
from chatbot_worker.kinds.webhook.addresses import Network, inside, permitted
from chatbot_worker.kinds.wire import failures
from shared.contracts.payload import utc_now

CONNECT_TIMEOUT = 10.0  # seconds; the worker's limits bound everything else
RESOLVE_TIMEOUT = 5.0  # seconds


class Sender:
    """Sends to one URL. Redirects are not followed, and proxies of the environment are not used.

    Args:
        url: `https`, or `http` if every address of the host is in `allowed`.
        allowed: private networks that may be reached.
    """

    def __init__(self, url: str, allowed: Sequence[Network]) -> None:
        self._url = URL(url)
        self._allowed = allowed
        self._client: AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    @asynccontextmanager
    async def post(self, body: bytes, headers: Mapping[str, str]) -> AsyncIterator[Response]:
        """Send a POST request, and yield the successful response, whose body is unread.

        Raises:
            ReplyError: the host is unreachable, its address is forbidden, or the status is no 2xx.
        """
        addresses = await self._resolve()
        client = await self._ready()
        answer: Response | None = None
        try:
            answer = await self._first(client, addresses, body, headers)
            if not answer.is_success:
                wait = failures.retry_after(answer.headers, utc_now())
                raise failures.of_status(answer.status_code, retry_after=wait)
            yield answer
        except httpx2.HTTPError as error:
            name = type(error).__name__
            raise failures.unreachable(name) if answer is None else failures.interrupted(name) from None
        finally:
            if answer is not None:
                await answer.aclose()

    async def _first(
        self, client: AsyncClient, addresses: Sequence[str], body: bytes, headers: Mapping[str, str]
    ) -> Response:
        """Return the response from the first address that accepts a connection.

        The URL contains a checked address, so that no name is resolved a second time. The host's name is sent in the
        Host header and, for TLS, in SNI, and the certificate is checked against it.
        """
        named = {**headers, "Host": self._url.netloc.decode("ascii"), "Content-Type": "application/json"}
        extensions = {"sni_hostname": self._url.raw_host.decode("ascii")}
        for address in addresses[:-1]:
            with contextlib.suppress(httpx2.ConnectError, httpx2.ConnectTimeout):
                return await client.send(self._request(client, address, body, named, extensions), stream=True)
        return await client.send(self._request(client, addresses[-1], body, named, extensions), stream=True)

    def _request(
        self, client: AsyncClient, address: str, body: bytes, headers: Mapping[str, str], extensions: dict[str, str]
    ) -> Request:
        target = self._url.copy_with(host=address)
        return client.build_request("POST", target, content=body, headers=headers, extensions=extensions)

    async def _resolve(self) -> list[str]:
        """Resolve the host, and return its addresses if all are permitted."""
        secure = self._url.scheme == "https"
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT):
                port = self._url.port or (443 if secure else 80)
                found = await loop.getaddrinfo(self._url.host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError):
            raise failures.unreachable("the name does not resolve") from None
        addresses = [str(sockaddr[0]) for *_, sockaddr in found]
        may = permitted if secure else inside
        if not addresses or not all(may(address, self._allowed) for address in addresses):
            raise failures.misconfigured("it has an address that must not be reached")
        return addresses

    async def _ready(self) -> AsyncClient:
        """Return the client. It is created in a thread, because reading the system's certificates blocks."""
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(_make)
            return self._client


def _make() -> AsyncClient:
    return AsyncClient(
        headers={"Accept-Encoding": "identity"},
        timeout=httpx2.Timeout(None, connect=CONNECT_TIMEOUT),
        limits=NO_REUSE,
        follow_redirects=False,
        trust_env=False,
    )
