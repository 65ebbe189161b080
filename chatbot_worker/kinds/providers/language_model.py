"""A language model behind the chat completions API, for the kinds `openai` and `local`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import structlog

from chatbot_worker.chatbots.prompt import OVERHEAD, SEVERAL, Speech, conversation, estimate, fit, joined
from chatbot_worker.chatbots.protocol import Turn
from chatbot_worker.kinds.providers.completions import Completions
from chatbot_worker.kinds.wire.chunks import ContextOverflow

logger = structlog.get_logger(__name__)

SHRINK = 0.6  # factor of the budget after a prompt was too long
TRIES = 4  # prompts, each shorter than the one before

Endpoint = Callable[[], Awaitable[Completions]]


class LanguageModel:
    """A language model.

    Args:
        endpoint: returns the client of the endpoint; may wait until there is one.
        request: fields of each request, in addition to the messages.
        system: system prompt.
        budget: tokens of a prompt; none if unknown.
    """

    def __init__(
        self, endpoint: Endpoint, *, request: Mapping[str, Any], system: str = "", budget: int | None = None
    ) -> None:
        self._endpoint = endpoint
        self._request = request
        self._system = system
        self._budget = budget

    @property
    def context_tokens(self) -> int | None:
        """Tokens of the budget that remain for messages."""
        if self._budget is None:
            return None
        return max(1, self._budget - estimate(self._system) - estimate(SEVERAL) - 2 * OVERHEAD)

    def reply(self, turn: Turn) -> AsyncGenerator[str]:
        """Return the model's reply to a turn."""
        return self.speak(conversation(turn, self._system))

    async def speak(self, speeches: Sequence[Speech]) -> AsyncGenerator[str]:
        """Yield the model's answer. If the prompt is too long, it is sent again without its oldest messages."""
        endpoint = await self._endpoint()
        budget = self._budget
        for last in [False] * (TRIES - 1) + [True]:
            chosen = fit(speeches, budget) if budget is not None else speeches
            messages = [{"role": speech.role, "content": speech.content} for speech in joined(chosen)]
            try:
                async with aclosing(endpoint.stream({**self._request, "messages": messages})) as pieces:
                    async for piece in pieces:
                        yield piece
                return
            except ContextOverflow:  # raised before any text
                if last:
                    raise
            size = sum(estimate(speech.content) for speech in chosen)
            budget = int(min(size, size if budget is None else budget) * SHRINK)
            logger.info("prompt.shortened", tokens=size, budget=budget)
