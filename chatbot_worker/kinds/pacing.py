"""Paces a complete text: yields it word by word, at a speed that people can follow."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Sequence

from chatbot_worker.chatbots.protocol import CompleteReply

PAUSES_MAX = 2.0  # seconds of pauses in one reply, however long it is
WORD = re.compile(r"\S+\s*|\s+")  # linear time: each piece matches in one way only


def paced(text: str, delay: float) -> AsyncIterator[str]:
    """Return the words of a text, each with the white space after it, `delay` seconds apart.

    The pieces join to exactly `text`. In a long text several words share a pause. Without a delay they are complete.
    """
    words = WORD.findall(text)
    return _with_pauses(words, delay) if delay else CompleteReply(words)


async def _with_pauses(words: Sequence[str], delay: float) -> AsyncIterator[str]:
    step = max(1, math.ceil(len(words) * delay / PAUSES_MAX))
    for start in range(0, len(words), step):
        if start:
            await asyncio.sleep(delay)
        yield "".join(words[start : start + step])
