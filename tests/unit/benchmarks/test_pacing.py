"""The clock of the open loop: a late reader gets the intended times of the schedule."""

from __future__ import annotations

import select
from time import monotonic

from benchmarks.generator.pacing import Pacer


def test_a_late_reader_still_gets_every_intended_time() -> None:
    with Pacer(1000, delay=0.005) as pacer:
        while monotonic() < pacer.start + 0.01:
            select.select([pacer], [], [], 1)
        due = pacer.due()
        assert len(due) >= 10
        assert [round((at - pacer.start) * 1000) for at in due] == list(range(len(due)))
        assert due[-1] <= monotonic()


def test_nothing_is_due_before_the_start() -> None:
    with Pacer(1000, delay=60) as pacer:
        assert pacer.due() == []
