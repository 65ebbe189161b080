"""Group commit of transactions: what the partitions of one worker have at hand goes into one, and is told in one round.

A transaction and its publications cost as much as some thirty of the messages in it. While one runs, the
other partitions' batches gather; the next one takes them all. Each batch still belongs to its partition:
it is acked there, and order within a session is order within its partition.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from persistence_worker.commands.activity_notices import Notices
from persistence_worker.commands.transaction import Ledger
from persistence_worker.domain import publications
from persistence_worker.domain.command_batch import Applied, Order, runs
from persistence_worker.metrics import Metrics
from persistence_worker.storage.errors import is_permanent
from shared.bus.port import Bus
from shared.contracts.envelope import Event
from shared.errors import Unavailable

ORDERS_MAX = 500  # of one transaction, unless one batch has more
RETRY_FOR = 3.0  # seconds that a batch is tried again in place; then its deliveries go back
RETRY_PAUSE = 0.1  # seconds


@dataclass(frozen=True, slots=True, eq=False)
class Share:
    """One partition's part of a transaction; `settled` is done once it is committed and told."""

    orders: Sequence[Order]
    settled: asyncio.Future[None]


class Committer:
    """The one writer of a worker."""

    def __init__(self, *, bus: Bus, ledger: Ledger, notices: Notices, metrics: Metrics, partitions: int) -> None:
        self._bus = bus
        self._ledger = ledger
        self._notices = notices
        self._metrics = metrics
        self._partitions = partitions
        self._waiting: list[Share] = []
        self._turn = asyncio.Lock()

    async def commit(self, orders: Sequence[Order], *, alone: bool = False) -> None:
        """Apply these in order, commit and tell everybody; `alone`: in a transaction of their own.

        Raises:
            Exception: what the database or the bus said; poison (`is_permanent`) is among these orders.
        """
        if alone:
            async with self._turn:
                await self._settle(orders)
            return
        mine = Share(orders, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        async with self._turn:
            if not mine.settled.done():
                await self._settle_all(self._next())
        await mine.settled

    def _next(self) -> list[Share]:
        taken: list[Share] = []
        room = ORDERS_MAX
        while self._waiting and (not taken or len(self._waiting[0].orders) <= room):
            taken.append(self._waiting.pop(0))
            room -= len(taken[-1].orders)
        return taken

    async def _settle_all(self, shares: Sequence[Share], *, again: bool = False) -> None:
        try:
            await self._settle([order for share in shares for order in share.orders], again=again)
        except Exception as error:  # noqa: BLE001 - each partition decides what its batch needs
            if is_permanent(error) and len(shares) > 1:
                for share in shares:
                    await self._settle_all([share], again=True)
                return
            for share in shares:
                _fail(share, error)
        else:
            for share in shares:
                if not share.settled.done():
                    share.settled.set_result(None)
        finally:
            for share in shares:  # a cancelled leader leaves nobody waiting
                _fail(share, Unavailable("The worker stops."))

    async def _settle(self, orders: Sequence[Order], *, again: bool = False) -> None:
        for run in runs(orders):
            await self._settle_run(run, again=again)

    async def _settle_run(self, orders: Sequence[Order], *, again: bool) -> None:
        applied = await self._persist(orders, again=again)
        for message in applied.batch.messages.values():
            self._metrics.stored.labels(message.sender_type).inc()
        self._notices.forget(session_id for session_id, _ in applied.batch.writes.left)
        for piece in publications.rounds(publications.of(applied, self._partitions)):
            await self._bus.publish_all(piece)
        for received, reply in applied.batch.answers:
            if received.replyto is not None:
                self._bus.respond(received, Event(publications.SOURCE, reply, subject=received.subject))
        self._notices.note(session for session in applied.batch.loaded.sessions.values() if session.changed)

    async def _persist(self, orders: Sequence[Order], *, again: bool) -> Applied:
        give_up = time.monotonic() + RETRY_FOR
        while True:
            try:
                with self._metrics.transaction.time():
                    applied = await self._ledger.apply(orders, again=again)
            except Exception as error:
                if is_permanent(error) or time.monotonic() > give_up:
                    raise
                again = True  # what failed may have been the answer to a commit
                await asyncio.sleep(RETRY_PAUSE)
            else:
                self._metrics.batch.observe(len(orders))
                return applied


def _fail(share: Share, error: BaseException) -> None:
    if not share.settled.done():
        share.settled.set_exception(error)
        share.settled.exception()  # whoever waits may be gone
