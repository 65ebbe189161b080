"""A language model behind the chat completions API, for the kinds `openai` and `local`."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import structlog

from chatbot_worker.chatbots.prompt import (
    OVERHEAD,
    SEVERAL,
    Speech,
    alternating,
    conversation,
    estimate,
    fit,
    without_system,
)
from chatbot_worker.chatbots.protocol import Piece, Turn
from chatbot_worker.kinds.providers.completions import Completions
from chatbot_worker.kinds.wire.assembly import EmptyStream
from chatbot_worker.kinds.wire.refusals import ContextOverflow, SystemRoleRefused

logger = structlog.get_logger(__name__)

SHRINK = 0.6  # factor of the budget after a prompt was too long
TRIES = 4  # prompts, each shorter than the one before
REMEMBER = 900.0  # seconds for which a shortened budget holds for further prompts

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
        self._shortened: int | None = None  # the budget of the latest prompt that had to be shortened
        self._shortened_at = 0.0
        self._knows_system = True  # its chat template has a system prompt, as far as known

    @property
    def context_tokens(self) -> int | None:
        """Tokens of the budget that remain for messages."""
        if self._budget is None:
            return None
        return max(1, self._budget - estimate(self._system) - estimate(SEVERAL) - 2 * OVERHEAD)

    def reply(self, turn: Turn) -> AsyncGenerator[Piece]:
        """Return the model's reply to a turn."""
        return self.speak(conversation(turn, self._system))

    async def speak(self, speeches: Sequence[Speech]) -> AsyncGenerator[Piece]:
        """Yield the model's answer. If the prompt is too long, it is sent again without its oldest messages."""
        endpoint = await self._endpoint()
        prompt = _Prompt(speeches, self._current_budget())
        while True:
            with_system = self._knows_system
            try:
                async with aclosing(endpoint.stream(self._body(prompt.chosen))) as pieces:
                    async for piece in pieces:
                        yield piece
                self._remember(prompt)
                return
            except SystemRoleRefused:
                if not with_system:
                    raise
                self._knows_system = False
                logger.info("system_prompt.moved", role="user")
            except (ContextOverflow, EmptyStream) as error:  # raised before any text
                if not prompt.shorten(once=isinstance(error, EmptyStream)):
                    raise

    def _body(self, chosen: Sequence[Speech]) -> dict[str, Any]:
        ready = alternating(chosen if self._knows_system else without_system(chosen))
        return {**self._request, "messages": [{"role": speech.role, "content": speech.content} for speech in ready]}

    def _current_budget(self) -> int | None:
        if self._shortened is None or time.monotonic() > self._shortened_at + REMEMBER:
            return self._budget
        return self._shortened

    def _remember(self, prompt: _Prompt) -> None:
        """Keep the budget of a prompt that was accepted only when it had been shortened."""
        if prompt.shortenings:
            self._shortened, self._shortened_at = prompt.budget, time.monotonic()


class _Prompt:
    """A prompt that becomes shorter each time it is refused as too long."""

    def __init__(self, speeches: Sequence[Speech], budget: int | None) -> None:
        self._speeches = speeches
        self.budget = budget
        self.shortenings = 0
        self.chosen: list[Speech] = self._fit()

    def shorten(self, *, once: bool) -> bool:
        """Leave out the oldest messages; return whether another request makes sense. `once`: not a second time."""
        limit = 1 if once else TRIES - 1
        if self.shortenings >= limit or (once and len(self.chosen) == 1):
            return False
        size = sum(estimate(speech.content) for speech in self.chosen)
        self.budget = int(min(size, size if self.budget is None else self.budget) * SHRINK)
        self.shortenings += 1
        before, self.chosen = self.chosen, self._fit()
        logger.info("prompt.shortened", tokens=size, budget=self.budget)
        return self.chosen != before

    def _fit(self) -> list[Speech]:
        return list(self._speeches) if self.budget is None else fit(self._speeches, self.budget)


class ModelChatbot:
    """The part of a chatbot that a language model does, the same for each kind with one."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    @property
    def context_tokens(self) -> int | None:
        """Tokens of messages that fit into its context."""
        return self._model.context_tokens

    def reply(self, turn: Turn) -> AsyncIterator[Piece]:
        """Return the model's reply to a turn."""
        return self._model.reply(turn)

    def speak(self, speeches: Sequence[Speech]) -> AsyncIterator[Piece]:
        """Return the model's answer to a prompt."""
        return self._model.speak(speeches)
