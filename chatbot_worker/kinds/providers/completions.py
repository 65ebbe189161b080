"""A client of the chat completions API of OpenAI, Ollama, vLLM, llama.cpp, OpenRouter and others.

It sends each request once: only the worker retries. Closing the iterator closes the connection, which stops the
generation on all known servers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx2
from httpx2 import AsyncClient, Response
from pydantic import SecretStr

from chatbot_worker.kinds.providers.responses import EVENT_STREAM, NO_REUSE, media_type, read_events, read_whole
from chatbot_worker.kinds.wire import failures
from chatbot_worker.kinds.wire.chunks import ContextOverflow, error_of, overflows, read_chunk, read_completion

CONNECT_TIMEOUT = 10.0  # seconds; the worker's limits bound everything else
BODY_MAX = 1024 * 1024  # bytes of an answer that is no stream, and of one event of a stream
STREAM_MAX = 16 * 1024 * 1024  # characters of all events of one reply


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
        self._client: AsyncClient | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def stream(self, body: Mapping[str, Any]) -> AsyncGenerator[str]:
        """Yield the reply to a request piece by piece.

        Raises:
            ContextOverflow: the prompt is too long; raised before the first piece.
            ReplyError: any other failure.
        """
        accept = {"Accept": f"{EVENT_STREAM}, application/json"}
        async with self._answer("POST", "/chat/completions", json={**body, "stream": True}, headers=accept) as answer:
            if media_type(answer) == "application/json":  # the server does not stream
                yield read_completion(await read_whole(answer, BODY_MAX)).text
                return
            async with aclosing(_pieces(answer)) as pieces:
                async for piece in pieces:
                    yield piece

    async def models(self) -> list[str]:
        """Return the ids of the endpoint's models; none if it does not list them."""
        async with self._answer("GET", "/models") as answer:
            return _model_ids(await read_whole(answer, BODY_MAX))

    @asynccontextmanager
    async def _answer(self, method: str, path: str, **request: Any) -> AsyncIterator[Response]:
        """Send a request, and yield the successful response, whose body is unread."""
        client = await self._ready()
        answered = False
        try:
            async with client.stream(method, self._base_url + path, **request) as answer:
                if answer.status_code != 200:
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


async def _pieces(answer: Response) -> AsyncGenerator[str]:
    """Yield the text of a stream's events until its end."""
    async with aclosing(read_events(answer, event_max=BODY_MAX, most=STREAM_MAX)) as events:
        async for event in events:
            chunk = read_chunk(event.data)
            if chunk.text:
                yield chunk.text
            if chunk.finished:
                return  # usage, `[DONE]`, or nothing at all may follow: the reply is complete
    raise failures.interrupted("ended without saying so")


async def _refusal(answer: Response) -> Exception:
    code, words = error_of(await read_whole(answer, BODY_MAX))
    if overflows(code, words):
        return ContextOverflow(f"status {answer.status_code}")
    return failures.of_status(answer.status_code, answer.headers.get("Retry-After"))


def _model_ids(body: bytes) -> list[str]:
    try:
        listed = json.loads(body)["data"]
        return [model["id"] for model in listed if isinstance(model["id"], str)]
    except (ValueError, KeyError, TypeError):
        return []
