"""The call depth of the write path: how far the rule of a command is below the loop of its consumer."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import greenlet
import pytest

from persistence_worker.commands.partition_consumer import PartitionConsumer
from persistence_worker.domain.rules import registry
from persistence_worker.storage.database import Database
from shared.contracts.commands import SendMessage, UpdateSession
from tests.integration.persistence_worker.conftest import Worker
from tests.support.commands import ADA, send
from tests.support.waiting import until

FRAMES_MAX = 9


def own_frames(frame: FrameType | None) -> list[str]:
    """Return the functions of the worker on the stack, innermost first, up to the consumer's loop.

    Transactions run in a greenlet of SQLAlchemy: its stack continues in that of the parent greenlet. On SQLite they run
    in a task of their own, where the stack ends.
    """
    names: list[str] = []
    parent = greenlet.getcurrent().parent
    while frame is not None or parent is not None:
        if frame is None and parent is not None:
            frame, parent = parent.gr_frame, parent.parent
            continue
        assert frame is not None
        if str(frame.f_globals.get("__name__")).startswith("persistence_worker."):
            names.append(frame.f_code.co_qualname)
            if frame.f_code in (PartitionConsumer.run.__code__, Database._write_alone.__code__):
                return names
        frame = frame.f_back
    pytest.fail(f"not called by the consumer: {names}")


@pytest.mark.parametrize("kind", [SendMessage, UpdateSession])
async def test_rule_is_at_most_nine_frames_below_the_consumer(
    worker: Worker, kind: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks: list[list[str]] = []
    rule = registry.RULES[kind]

    def spy(*args: Any) -> Any:
        stacks.append(own_frames(sys._getframe(1)))
        return rule(*args)

    monkeypatch.setitem(registry.RULES, kind, spy)
    async with worker() as running:
        session_id = await running.opened()
        if kind is SendMessage:
            running.put(send(session_id))
        else:
            running.put(UpdateSession(session_id=session_id, user_id=ADA, title="new", reply_policy=None))
        [stack] = await until(lambda: stacks)
        await running.drained(session_id)
    assert len(stack) <= FRAMES_MAX, stack
