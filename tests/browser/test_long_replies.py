"""Streaming at length: the page stays free while a table, a list or code of 1,000 lines grows at 600 characters a second.

The limits are multiplied by `slowness`, as in `test_long_chat`, and may be met in any of several rounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import Visit
from tests.browser.main_thread import TRACED, slowness, tasks
from tests.browser.model import Model

Record = Callable[[str, object], None]

LINES = 1_000
STREAMED = 4_000  # characters at the end of a reply that are measured
ROUNDS = 3
TASK = 50  # milliseconds
BUSY = 1 / 3  # of the time


def lines(line: str) -> str:
    """Return the lines of a block, with their numbers."""
    return "\n".join(line.format(n=number) for number in range(LINES))


REPLIES = {
    "table": "| n | name | note |\n|--:|:--|---|\n" + lines("| {n} | name {n} | **bold** words |"),
    "list": lines("- item {n} with *some* words and `code`"),
    "numbered list": lines("{n}. item {n} with some words"),
    "list in a list": "- All of it:\n" + lines("  - item {n} with some words"),
    "code": "```python\n" + lines("def function_{n}(x): return x + {n}") + "\n```",
    "code in a list": "1. Run:\n\n   ```python\n" + lines("   value_{n} = {n} * 2  # note") + "\n   ```",
    "quote": lines("> line {n} with some words"),
    "paragraph": " ".join(f"Sentence {n} has **bold** words." for n in range(LINES)),
}


@pytest.mark.parametrize("shape", REPLIES)
def test_main_thread_stays_free_while_a_long_block_grows(
    visit: Visit, browser: Browser, model: Model, record_property: Record, shape: str
) -> None:
    """No task over 50 ms, and two thirds of the time free; the end of the reply, when all is stored, included."""
    visitor = visit()
    visitor.register()
    page = visitor.page
    visitor.new_chat("Model", "say hello")
    visitor.expect_answer()
    reply = REPLIES[shape]
    model.answers = {"go": reply}
    model.at_once = len(reply) - STREAMED
    for replies in range(2, 2 + ROUNDS):
        visitor.say("go")
        expect(visitor.reply_under_way).to_contain_text("800")
        browser.start_tracing(page=page, categories=TRACED)
        start = time.monotonic()
        visitor.expect_answer(replies)
        wall = (time.monotonic() - start) * 1_000
        took = tasks(browser.stop_tracing())
        slow = slowness(page)
        longest, busy = max(took), sum(took) / wall
        record_property(
            f"longest task in ms, share of time: {shape}", f"{longest:.0f}, {busy:.2f} (slowness {slow:.1f})"
        )
        if longest <= TASK * slow and busy <= BUSY * slow:
            break
    assert longest <= TASK * slow
    assert busy <= BUSY * slow
