"""A client of chat completions, the API that OpenAI, Ollama, vLLM, llama.cpp, OpenRouter and others have in common.

It tries once: the worker's attempts are the only retries. Ending the iteration closes the connection, which is
how every known server learns to stop.
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
    """One endpoint. `base_url` is what the path `/chat/completions` is put behind.

    Args:
        base_url: without a slash at the end.
        key: sent as a bearer token.
        headers: sent besides.
        direct: never through a proxy of the environment.
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
        """The reply to a request, piece by piece.

        Raises:
            ContextOverflow: the prompt is too long, and nothing was said yet.
            ReplyError: it failed otherwise.
        """
        accept = {"Accept": f"{EVENT_STREAM}, application/json"}
        async with self._answer("POST", "/chat/completions", json={**body, "stream": True}, headers=accept) as answer:
            if media_type(answer) == "application/json":  # it does not stream although it was asked to
                yield read_completion(await read_whole(answer, BODY_MAX)).text
                return
            async with aclosing(_pieces(answer)) as pieces:
                async for piece in pieces:
                    yield piece

    async def models(self) -> list[str]:
        """The ids of the models there are, none if the endpoint does not say."""
        async with self._answer("GET", "/models") as answer:
            return _model_ids(await read_whole(answer, BODY_MAX))

    @asynccontextmanager
    async def _answer(self, method: str, path: str, **request: Any) -> AsyncIterator[Response]:
        """A successful answer, its body not read yet."""
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
        """The client; made in a thread, because reading the certificates of the system takes a while."""
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
    """The text of a stream's events, until it says that it is over."""
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
