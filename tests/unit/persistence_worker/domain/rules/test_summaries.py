"""`SummarizeSession`: which summary is stored."""

from __future__ import annotations

from typing import Any

import pytest

from persistence_worker.domain.state import SessionState
from shared.contracts.commands import SummarizeSession
from shared.contracts.turns import SUMMARY_MAX
from tests.support.commands import NOON, received
from tests.unit.persistence_worker.domain.batches import apply, batch, outcome, session, unchanged


def summarize(of: SessionState, up_to_seq: int = 3, text: str = "a summary", chatbot: str = "echo") -> SummarizeSession:
    return SummarizeSession(session_id=of.id, chatbot_id=chatbot, up_to_seq=up_to_seq, as_of=5, text=text)


def test_summary_is_stored_without_a_number() -> None:
    one = session(last_seq=5)
    work = apply(batch(one), summarize(one))
    assert outcome(work) == {}
    assert [(key, each.up_to_seq, each.text) for key, each in work.writes.summaries.items()] == [
        ((one.id, "echo"), 3, "a summary")
    ]
    assert unchanged(work)


def test_summary_of_more_messages_wins() -> None:
    one = session(last_seq=5)
    work = apply(batch(one), summarize(one, 3), summarize(one, 4), summarize(one, 2))
    assert [each.up_to_seq for each in work.writes.summaries.values()] == [4]


def test_text_is_cut_and_has_no_nul() -> None:
    one = session(last_seq=5)
    work = apply(batch(one), summarize(one, text="\x00" + "x" * (SUMMARY_MAX + 1)))
    assert [each.text for each in work.writes.summaries.values()] == ["x" * SUMMARY_MAX]


@pytest.mark.parametrize("fields", [{"deleted_at": NOON}, {"chatbots": ("eliza",)}], ids=["deleted", "chatbot removed"])
def test_summary_of_a_deleted_session_or_a_removed_chatbot_is_dropped(fields: dict[str, Any]) -> None:
    one = session(last_seq=5, **fields)
    assert not apply(batch(one), summarize(one)).writes.summaries


def test_outdated_summary_is_dropped() -> None:
    one = session(last_seq=5)
    command = received(summarize(one))
    work = batch(one, outdated={command.envelope.id})
    work.apply(command)
    assert not work.writes.summaries
