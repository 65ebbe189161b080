"""Sending one request to an address that was looked at first, and reading no more of the answer than is allowed."""

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

CONNECT_TIMEOUT = 10.0  # seconds; the worker's limits bound everything else
RESOLVE_TIMEOUT = 5.0  # seconds


class Sender:
    """Sends to one URL. Neither a redirect nor a proxy of the environment takes it anywhere else.

    Args:
        url: `https`, or `http` where every address is in `allowed`: nobody listens in there.
        allowed: networks that may be reached although they are not public.
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
        """The answer to a POST, with status 200, its body not read yet.

        Raises:
            ReplyError: there is no such answer, or the address must not be reached.
        """
        addresses = await self._resolve()
        client = await self._ready()
        answer: Response | None = None
        try:
            answer = await self._first(client, addresses, body, headers)
            if answer.status_code != 200:
                raise failures.of_status(answer.status_code, answer.headers.get("Retry-After"))
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
        """The answer of the first address that takes a connection.

        The URL names an address that was judged, so nothing is resolved a second time; the name goes into
        the Host header and, for TLS, into SNI and the check of the certificate.
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
        """The addresses of the host, each of which may be reached."""
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
        """The client; made in a thread, because reading the certificates of the system takes a while."""
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
