"""A turn at work in this worker."""

from __future__ import annotations

import asyncio

from chatbot_worker.turns.answers import Answer
from shared.bus.port import Delivery
from shared.contracts.commands import FinishReply
from shared.contracts.turns import RunTurn


class Running:
    """A turn that was taken and is not settled yet. `settled`: whether its reply is held, or it is known to be over."""

    def __init__(self, turn: RunTurn, delivery: Delivery) -> None:
        self.turn = turn
        self.delivery = delivery
        self.answer = Answer(turn, turn.starts + delivery.delivery_count + 1)
        self.fresh = not turn.again and not delivery.delivery_count  # it cannot be over already
        self.begun = False  # it does not wait for others any more
        self.stopped = False
        self.sent_back = False
        self.settled: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._work: asyncio.Task[FinishReply | None] | None = None

    def works(self, work: asyncio.Task[FinishReply | None]) -> None:
        """Somebody is at it."""
        self._work = work

    def stop(self) -> None:
        """Somebody wants no more of it."""
        self.stopped = True
        self.cancel()

    def send_back(self) -> None:
        """It is to wait in its queue."""
        self.sent_back = True
        self.cancel()

    def cancel(self) -> None:
        """End the work on it."""
        if self._work is not None:
            self._work.cancel()

    @property
    def waited_in_vain(self) -> bool:
        """Whether it was not its turn for so long that another worker should have it."""
        work = self._work
        if work is None or not work.done() or work.cancelled() or self.begun:
            return False
        return isinstance(work.exception(), TimeoutError)
