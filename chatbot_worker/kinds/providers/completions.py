"""A client of the chat completions API of OpenAI, Ollama, vLLM, llama.cpp, OpenRouter and others.

It sends each request once: only the worker retries. Closing the iterator closes the connection, which stops the
generation on all known servers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from typing import Any

import httpx2
from httpx2 import AsyncClient, Response
from pydantic import SecretStr

from chatbot_worker.chatbots.protocol import Piece
from chatbot_worker.kinds.providers.responses import (
    EVENT_STREAM,
    NO_REUSE,
    Body,
    media_type,
    read_error_body,
    read_whole,
)
from chatbot_worker.kinds.wire import failures
from chatbot_worker.kinds.wire.assembly import Assembly, Habits
from chatbot_worker.kinds.wire.model_lists import chat_models
from chatbot_worker.kinds.wire.refusals import judge, read_error
from shared.contracts.payload import utc_now

CONNECT_TIMEOUT = 10.0  # seconds; the worker's limits bound everything else
BODY_MAX = 1024 * 1024  # bytes of an answer that is no stream, and of one event of a stream
STREAM_MAX = 16 * 1024 * 1024  # characters of all events of one reply
JSON = (b"{", b"[")  # first bytes of a body that is no event stream, whatever its media type
STREAM = (b"d", b"e", b"i", b"r", b":")  # first bytes of an event stream: of its fields, and of comments
TEXTS = ("text/html", "text/plain")


class Completions:
    """A client of one endpoint.

    Args:
        base_url: URL before `/chat/completions`, without a slash at the end.
        key: sent as a bearer token.
        headers: further headers of each request.
        direct: ignore the proxies of the environment.
    """

    def __init__(
        self,
        base_url: str,
        *,
        key: SecretStr | None = None,
        headers: Mapping[str, str] | None = None,
        direct: bool = False,
    ) -> None:
        self._base_url = base_url
        self._headers = {"Accept-Encoding": "identity", **(headers or {})}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key.get_secret_value()}"
        self._direct = direct
        self._habits = Habits()
        self._client: AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[Piece]:
        """Yield the reply to a request piece by piece.

        Raises:
            ContextOverflow: the prompt is too long; raised before the first piece.
            EmptyStream: nothing came at all.
            LengthReached: the model reached its limit.
            ReplyError: any other failure.
        """
        accept = {"Accept": f"{EVENT_STREAM}, application/json"}
        async with self._answer("POST", "/chat/completions", json={**body, "stream": True}, headers=accept) as answer:
            found, assembly = Body(answer), Assembly(self._habits)
            first = await found.first()
            if first == b"<":
                raise failures.misconfigured("a web page")
            if first and first not in STREAM + JSON:
                raise failures.misconfigured("a text") if media_type(answer) in TEXTS else failures.broken("a text")
            if first in JSON:
                pieces: Iterator[Piece] = assembly.take_whole(await found.whole(BODY_MAX))
                for piece in pieces:
                    yield piece
            else:
                async with aclosing(_pieces(found, assembly)) as streamed:
                    async for piece in streamed:
                        yield piece
            for piece in assembly.end():
                yield piece
            assembly.check()

    async def models(self) -> list[str]:
        """Return the ids of the endpoint's models, those for chat first; none if it does not list them."""
        async with self._answer("GET", "/models") as answer:
            return chat_models(await read_whole(answer, BODY_MAX))

    @asynccontextmanager
    async def _answer(self, method: str, path: str, **request: Any) -> AsyncIterator[Response]:
        """Send a request, and yield the successful response, whose body is unread."""
        client = await self._ready()
        answered = False
        try:
            async with client.stream(method, self._base_url + path, **request) as answer:
                if not answer.is_success:
                    raise await _refusal(answer)
                answered = True
                yield answer
        except httpx2.HTTPError as error:
            name = type(error).__name__
            raise failures.interrupted(name) if answered else failures.unreachable(name) from None

    async def _ready(self) -> AsyncClient:
        """Return the client. It is created in a thread, because reading the system's certificates blocks."""
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(self._make)
            return self._client

    def _make(self) -> AsyncClient:
        return AsyncClient(
            headers=self._headers,
            timeout=httpx2.Timeout(None, connect=CONNECT_TIMEOUT),
            limits=NO_REUSE,
            follow_redirects=False,
            trust_env=not self._direct,
        )


async def _pieces(found: Body, assembly: Assembly) -> AsyncGenerator[Piece]:
    """Yield the reply of a stream until its end.

    After a reason to finish, more may come: text (some endpoints give the reason in each chunk), usage, `[DONE]`, or
    nothing although the connection stays open.
    """
    async with aclosing(found.events(event_max=BODY_MAX, most=STREAM_MAX)) as events:
        while not assembly.done:
            try:
                async with _limit(assembly.patience):
                    event = await anext(events)
            except (StopAsyncIteration, TimeoutError):
                return
            except httpx2.HTTPError:
                if assembly.finished:
                    return
                raise
            for piece in assembly.take(event.event, event.data):
                yield piece


def _limit(seconds: float | None) -> AbstractAsyncContextManager[object]:
    return nullcontext() if seconds is None else asyncio.timeout(seconds)


async def _refusal(answer: Response) -> Exception:
    error = read_error(await read_error_body(answer, BODY_MAX))
    return judge(error, answer.status_code, failures.retry_after(answer.headers, utc_now()))
