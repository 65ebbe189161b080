"""A chatbot that is a language model behind chat completions: `openai` and `local` are two ways to reach one."""

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

SHRINK = 0.6  # of the budget that was too much; the estimate of tokens was wrong then
TRIES = 4  # prompts, each shorter than the last

Endpoint = Callable[[], Awaitable[Completions]]


class LanguageModel:
    """Talks over an endpoint.

    Args:
        endpoint: where the model is now; may wait until there is one.
        request: the fields of each request beside the messages.
        system: the operator's words to the model.
        budget: tokens of a prompt, if they are known.
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
        """What is left of the budget for what people said."""
        if self._budget is None:
            return None
        return max(1, self._budget - estimate(self._system) - estimate(SEVERAL) - 2 * OVERHEAD)

    def reply(self, turn: Turn) -> AsyncGenerator[str]:
        """The model's reply to the conversation."""
        return self.speak(conversation(turn, self._system))

    async def speak(self, speeches: Sequence[Speech]) -> AsyncGenerator[str]:
        """What the model says; of a prompt that turns out too long, the oldest messages are left out."""
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
            except ContextOverflow:  # comes before any text
                if last:
                    raise
            size = sum(estimate(speech.content) for speech in chosen)
            budget = int(min(size, size if budget is None else budget) * SHRINK)
            logger.info("prompt too long for the model, shortened", tokens=size, budget=budget)
