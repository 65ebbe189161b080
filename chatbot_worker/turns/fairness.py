"""Shares the slots of one chatbot, and the room to wait for them in a worker, fairly among users."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from shared.contracts.turns import RunTurn

WAIT_MAX = 240.0  # seconds that a turn waits for a slot before it is requeued
LOOK_AHEAD_MIN, LOOK_AHEAD_MAX = 32, 256  # turns that wait in a worker, so that there are several users to choose from
CHECK_INTERVAL_MIN, CHECK_INTERVAL_MAX = 1.0, 32.0  # seconds between two checks for a user with too many turns


class Slots:
    """The slots of one chatbot: at most so many turns run at the same time.

    A free slot goes to the user who holds the fewest; among equals, to the one with the longest wait. With four slots
    or more, one user holds at most three quarters of them. So one question of a user waits for none of the turns that
    another user has started in a hundred sessions.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._held: Counter[str] = Counter()  # slots by user
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # by user, in order of arrival
        self._lines: dict[int, dict[str, None]] = {}  # users with waiting turns, in order, by the slots they hold

    @property
    def free(self) -> bool:
        """Whether a slot is free."""
        return self._taken < self._most

    def resize(self, most: int) -> None:
        """Change the number of slots. Turns that run proceed, also where they are too many now."""
        self._most = most
        self._grant()

    @asynccontextmanager
    async def hold(self, user: str) -> AsyncIterator[None]:
        """Wait for a slot and hold it."""
        await self.acquire(user)
        try:
            yield
        finally:
            self.release(user)

    def take(self, user: str) -> bool:
        """Take a slot if one is free for this user now; return whether it was."""
        if self._taken >= self._most or self._held[user] >= self._share:
            return False
        self._taken += 1
        self._held[user] += 1
        return True

    async def acquire(self, user: str) -> None:
        """Wait for a slot and take it. If it is cancelled, the place in the line is given up."""
        if self.take(user):
            return
        granted = asyncio.get_running_loop().create_future()
        self._line_up(user)
        self._waiting.setdefault(user, deque()).append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self.release(user)
            raise

    def release(self, user: str) -> None:
        """Give a slot back, and grant it to the next in line."""
        self._leave_line(user)
        self._taken -= 1
        self._held[user] -= 1
        if user in self._waiting:
            self._line_up(user)
        if not self._held[user]:
            del self._held[user]
        self._grant()

    @property
    def _share(self) -> int:
        return self._most - self._most // 4

    def _grant(self) -> None:
        while self._lines and self._taken < self._most and min(self._lines) < self._share:
            user = next(iter(self._lines[min(self._lines)]))
            self._leave_line(user)
            waiting = self._waiting[user]
            while waiting and waiting[0].done():  # cancelled
                waiting.popleft()
            if waiting:
                waiting.popleft().set_result(None)
                self._taken += 1
                self._held[user] += 1
            if waiting:
                self._line_up(user)
            else:
                del self._waiting[user]

    def _line_up(self, user: str) -> None:
        self._lines.setdefault(self._held[user], {}).setdefault(user)

    def _leave_line(self, user: str) -> None:
        line = self._lines.get(self._held[user])
        if line is not None and user in line:
            del line[user]
            if not line:
                del self._lines[self._held[user]]


class BacklogShare:
    """Limits the share of one user in the turns that wait in a worker.

    Where one user has more than half of them, half of that user's turns are requeued, so that turns of other users
    behind them reach the worker. Each costs a publication, so checks become rarer while no other user appears.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_at = 0.0  # of the clock
        self._interval = CHECK_INTERVAL_MIN

    def excess(self, waiting: Sequence[str], room: int) -> tuple[str, int]:
        """Return the user with too many waiting turns and how many of them to requeue; `("", 0)` if there is none.

        Args:
            waiting: the user of each waiting turn.
            room: how many turns may wait.
        """
        if len(waiting) < room or self._clock() < self._next_at:
            return "", 0
        ((user, turns),) = Counter(waiting).most_common(1)
        if turns * 2 <= len(waiting):
            return "", 0
        alone = turns == len(waiting)
        self._interval = min(self._interval * 2, CHECK_INTERVAL_MAX) if alone else CHECK_INTERVAL_MIN
        self._next_at = self._clock() + self._interval
        return user, turns // 2


def look_ahead(concurrency: int) -> int:
    """Return how many turns may wait in a worker: enough to choose from, few enough to leave some to other workers."""
    return min(max(16 * concurrency, LOOK_AHEAD_MIN), LOOK_AHEAD_MAX)


def requester(turn: RunTurn) -> str:
    """Return the user whose turn this is: the author of the newest message to answer.

    Where that author is a chatbot, it is the user with the newest message in the context, and without one the
    session's id.
    """
    people = [message for message in turn.context if message.sender_type == "user"]
    newest = [message for message in people if message.unanswered] or people
    return newest[-1].sender_id if newest else str(turn.session_id)
