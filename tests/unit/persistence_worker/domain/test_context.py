"""Contexts: which messages a chatbot gets, and which rows are read for them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from persistence_worker.domain.context import (
    ROWS_MAX,
    SEQ_MAX,
    ContextRow,
    context_end,
    context_messages,
    missing_rows,
)
from persistence_worker.domain.state import Turn
from shared.contracts.events import ContextWanted
from shared.contracts.turns import CONTEXT_BYTES_MAX, Summary
from tests.unit.persistence_worker.domain.batches import session, turn

ONE = session()


def rows(*numbers: int, content: str = "x") -> list[ContextRow]:
    return [ContextRow(number, uuid4(), "user", "ada", content) for number in numbers]


def answering(*spans: tuple[int, int], **more: Any) -> Turn:
    return turn(ONE, asked=[list(span) for span in spans], is_open=False, **more)


def wanted(messages: int, size: int = 10_000) -> ContextWanted:
    return ContextWanted(messages=messages, bytes=size)


def chosen(of: Turn, found: list[ContextRow], how_much: ContextWanted) -> list[tuple[int, bool]]:
    return [(message.seq, message.unanswered) for message in context_messages(of, found, how_much)]


def test_unanswered_messages_and_the_newest_earlier_ones_are_chosen() -> None:
    assert chosen(answering((4, 5)), rows(1, 2, 3, 4, 5), wanted(2)) == [(2, False), (3, False), (4, True), (5, True)]


def test_earlier_messages_end_where_their_bytes_are_used_up() -> None:
    found = [*rows(1, 2, content="ää"), *rows(3)]
    assert chosen(answering((3, 3)), found, wanted(9, size=5)) == [(2, False), (3, True)]


def test_message_between_two_answered_spans_is_an_earlier_one() -> None:
    assert chosen(answering((1, 1), (3, 3)), rows(1, 2, 3), wanted(9)) == [(1, True), (2, False), (3, True)]


@pytest.mark.parametrize(("fields", "end"), [({}, SEQ_MAX), ({"waiting": [[5, 7]]}, 5), ({"until": 4}, 4)])
def test_context_ends_before_the_next_turn_and_before_what_followed_a_regenerated_reply(
    fields: dict[str, Any], end: int
) -> None:
    of = answering((3, 3), until=fields.get("until"))
    of.waiting = fields.get("waiting", [])
    assert context_end(of) == end
    assert [seq for seq, _ in chosen(of, rows(2, 3, 4, 5, 6), wanted(9))] == [n for n in (2, 3, 4, 5, 6) if n < end]


def test_context_with_a_summary_fits_into_its_bytes_and_keeps_the_newest() -> None:
    summary = Summary(up_to_seq=1, text="s" * 4_000)
    found = rows(*range(1, 40), content="\x01" * 4_000)
    messages = context_messages(answering((1, 39)), found, wanted(0), summary)
    size = sum(len(message.to_json()) for message in messages) + len(summary.text)
    assert CONTEXT_BYTES_MAX / 2 < size < CONTEXT_BYTES_MAX
    assert messages[-1].seq == 39
    assert all(message.unanswered for message in messages)


# --- rows to read ---


def test_rows_in_memory_are_not_read_again() -> None:
    [up_to] = missing_rows(answering((3, 4)), rows(3, 4), wanted(2))
    assert (up_to.above, up_to.below, up_to.limit) == (0, 3, 2)


def test_nothing_is_read_for_a_chatbot_that_wants_no_earlier_messages() -> None:
    assert missing_rows(answering((3, 4)), rows(3, 4), wanted(0)) == []
    assert missing_rows(answering((3, 4)), rows(3, 4), wanted(9, size=0)) == []


def test_rows_after_the_answered_messages_are_read_for_a_republished_turn() -> None:
    up_to, after = missing_rows(answering((3, 4)), [], wanted(5))
    assert (up_to.below, up_to.limit) == (5, 7)
    assert (after.above, after.below, after.limit) == (4, SEQ_MAX, 5)


def test_old_span_is_read_separately_and_every_read_is_bounded() -> None:
    found = missing_rows(answering((10, 11), (5_000, 9_000)), [], wanted(5))
    assert [(each.above, each.below) for each in found] == [(9, 12), (0, 9_001), (9_000, SEQ_MAX)]
    assert max(each.limit for each in found) <= ROWS_MAX
