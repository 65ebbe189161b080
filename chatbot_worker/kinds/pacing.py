"""Word by word: how a ready text becomes a stream that a person can follow."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator

PAUSES_MAX = 2.0  # seconds of pauses in one reply, however long it is
WORD = re.compile(r"\S+\s*|\s+")  # linear: no piece can be cut in two ways


async def paced(text: str, delay: float) -> AsyncIterator[str]:
    """The words of `text`, each with the white space after it, `delay` seconds apart.

    The pieces join to exactly `text`. In a long text several words share a pause.
    """
    if not delay:
        for match in WORD.finditer(text):
            yield match.group()
        return
    words = WORD.findall(text)
    step = max(1, math.ceil(len(words) * delay / PAUSES_MAX))
    for start in range(0, len(words), step):
        if start:
            await asyncio.sleep(delay)
        yield "".join(words[start : start + step])
