"""Who is next: the turns at once of one chatbot, and the room to wait for it, shared fairly between those who ask."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from shared.contracts.turns import RunTurn

WAIT_MAX = 240.0  # seconds that a turn waits for a slot before it goes back to its queue
LOOK_AHEAD_MIN, LOOK_AHEAD_MAX = 32, 256  # turns that wait in a worker, so that there is somebody else's to choose
CROWD_PAUSE_MIN, CROWD_PAUSE_MAX = 1.0, 32.0  # seconds between two looks at who is too many


class Slots:
    """`most` turns at once. A free slot goes to whoever holds the fewest; between equals, to who waited longest.

    One person never holds all slots where there are four or more: a quarter is kept for others. So whoever
    asks in a hundred sessions waits behind a newcomer with one question, and not the other way round.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._held: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._lines: dict[int, dict[str, None]] = {}  # who waits, by the slots they hold, in order

    @property
    def free(self) -> bool:
        """Whether somebody who came now would not wait."""
        return self._taken < self._most

    def resize(self, most: int) -> None:
        """Let so many run from now on; those that run already go on."""
        self._most = most
        self._grant()

    @asynccontextmanager
    async def hold(self, who: str) -> AsyncIterator[None]:
        """Wait for a slot and keep it; cancelled while waiting, one leaves the line."""
        await self._take(who)
        try:
            yield
        finally:
            self._give_back(who)

    async def _take(self, who: str) -> None:
        if self._taken < self._most and self._held[who] < self._share:
            self._taken += 1
            self._held[who] += 1  # nobody who may have it waits, or they would have it
            return
        turn = asyncio.get_running_loop().create_future()
        self._line_up(who)
        self._waiting.setdefault(who, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was given one just now
                self._give_back(who)
            raise

    def _give_back(self, who: str) -> None:
        self._step_out(who)
        self._taken -= 1
        self._held[who] -= 1
        if who in self._waiting:
            self._line_up(who)
        if not self._held[who]:
            del self._held[who]
        self._grant()

    @property
    def _share(self) -> int:
        return self._most - self._most // 4

    def _grant(self) -> None:
        while self._lines and self._taken < self._most and min(self._lines) < self._share:
            who = next(iter(self._lines[min(self._lines)]))
            self._step_out(who)
            line = self._waiting[who]
            while line and line[0].done():  # left meanwhile
                line.popleft()
            if line:
                line.popleft().set_result(None)
                self._taken += 1
                self._held[who] += 1
            if line:
                self._line_up(who)
            else:
                del self._waiting[who]

    def _line_up(self, who: str) -> None:
        self._lines.setdefault(self._held[who], {}).setdefault(who)

    def _step_out(self, who: str) -> None:
        line = self._lines.get(self._held[who])
        if line is not None and who in line:
            del line[who]
            if not line:
                del self._lines[self._held[who]]


class Crowd:
    """Who of those that wait here is to wait in the queue instead, so that others, behind them there, come into sight.

    That costs a publication each, so it happens now and then, and less and less often while nobody else comes.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_at = 0.0
        self._pause = CROWD_PAUSE_MIN

    def too_many(self, waiting: Sequence[str], room: int) -> tuple[str, int]:
        """Whose turns are too many, and how many; `waiting` is whose turns wait, `room` how many may."""
        if len(waiting) < room or self._clock() < self._next_at:
            return "", 0
        ((who, turns),) = Counter(waiting).most_common(1)
        if turns * 2 <= len(waiting):
            return "", 0
        alone = turns == len(waiting)
        self._pause = min(self._pause * 2, CROWD_PAUSE_MAX) if alone else CROWD_PAUSE_MIN
        self._next_at = self._clock() + self._pause
        return who, turns // 2


def look_ahead(concurrency: int) -> int:
    """The turns of one chatbot that may wait in a worker: enough to choose from, few enough to leave to others."""
    return min(max(16 * concurrency, LOOK_AHEAD_MIN), LOOK_AHEAD_MAX)


def asker(turn: RunTurn) -> str:
    """Whose turn it is: who wrote the newest message that it answers, or the newest person where a chatbot did."""
    people = [message for message in turn.context if message.sender_type == "user"]
    newest = [message for message in people if message.unanswered] or people
    return newest[-1].sender_id if newest else str(turn.session_id)
