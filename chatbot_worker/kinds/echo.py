"""The kind `echo`: repeats the message. For tests, benchmarks and demonstrations."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pydantic import Field

from chatbot_worker.chatbots.protocol import Kind, Options, Turn
from chatbot_worker.kinds.pacing import paced
from shared.contracts.events import ContextWanted


class EchoOptions(Options):
    """The options of the kind `echo`."""

    delay: float = Field(
        default=0.01, ge=0, le=2, description="Seconds between words. With 0 the reply is complete at once"
    )


class Echo:
    """Repeats the unanswered messages, one per line."""

    def __init__(self, options: EchoOptions) -> None:
        self._delay = options.delay

    def reply(self, turn: Turn) -> AsyncIterator[str]:
        """Return the exact text of the unanswered messages."""
        return paced("\n".join(message.content for message in turn.unanswered), self._delay)


KIND = Kind(
    options=EchoOptions,
    make=Echo,
    immediate=True,
    context=ContextWanted(messages=0, bytes=128 * 1024),
    concurrency=256,
)
