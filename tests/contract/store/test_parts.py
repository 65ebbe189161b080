"""Parts of messages: the reasoning of a reply."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.contracts.queries import SearchMessages
from shared.contracts.views import PAGE_BYTES_MAX, REASONING_BYTES_MAX
from tests.contract.store.harness import StoreHarness
from tests.support.commands import NOON, card, finish, send

TEXTS = ["I think.", '思考 \N{THINKING FACE} "quoted" \\ \n', "x" * REASONING_BYTES_MAX]


@pytest.mark.parametrize("text", TEXTS, ids=["plain", "other scripts", "longest"])
async def test_reasoning_of_a_reply_is_stored_as_a_part(store: StoreHarness, text: str) -> None:
    """Of the event, of the history, and of the changes; other messages have no parts, not even empty ones."""
    session_id = await store.session()
    await store.apply(send(session_id))
    await store.apply(finish(store.turns[0], "hello back", reasoning=text))
    [reply] = store.stored
    assert reply.to_dict()["parts"] == [{"type": "reasoning", "text": text}]
    for page in (await store.join(session_id), await store.join(session_id, after=0)):
        question, answer = page.messages
        assert answer == reply
        assert "parts" not in question.to_dict()
        assert b"parts" not in question.to_json()


@pytest.mark.parametrize("text", ["x" * (REASONING_BYTES_MAX + 9), "思" * REASONING_BYTES_MAX, "a\0b"])
async def test_reasoning_that_cannot_be_stored_is_cut(store: StoreHarness, text: str) -> None:
    """No publication of a worker of another release becomes a dead letter because of it."""
    session_id = await store.session()
    await store.apply(send(session_id))
    await store.apply(finish(store.turns[0], "hello back", reasoning=text))
    [answer] = store.stored[0].parts
    assert text.replace("\0", "").startswith(answer.text)
    assert 2 <= len(answer.text.encode()) <= REASONING_BYTES_MAX
    assert (await store.join(session_id)).messages[1].parts == [answer]


async def test_reasoning_is_in_no_context(store: StoreHarness) -> None:
    await store.announce([card("eliza", messages=9)], NOON + timedelta(hours=1))
    session_id = await store.session()
    await store.apply(send(session_id))
    await store.apply(finish(store.turns[0], "hello back", reasoning="Ponderous."))
    await store.apply(send(session_id, "last"))
    [turn] = store.turns
    assert [message.content for message in turn.context] == ["hello", "hello back", "last"]
    assert b"Ponderous" not in turn.to_json()


async def test_reasoning_is_not_searched(store: StoreHarness) -> None:
    session_id = await store.session()
    await store.apply(send(session_id))
    await store.apply(finish(store.turns[0], "hello back", reasoning="Ponderous."))
    for query, hits in (("ponderous", 0), ("back", 1)):
        asked = SearchMessages(user_id="ada", query=query, session_id=None, cursor=None, limit=9)
        assert len((await store.ask(asked)).hits) == hits


async def test_page_counts_the_bytes_of_parts(store: StoreHarness) -> None:
    """A page of replies with much reasoning has fewer of them."""
    session_id = await store.session()
    for _ in range(12):
        await store.apply(send(session_id))
        await store.apply(finish(store.turns[0], "hello back", reasoning="x" * REASONING_BYTES_MAX))
    page = await store.join(session_id, after=0, limit=200)
    assert page.has_more
    assert 4 <= len(page.messages) < 24
    assert len(page.to_json()) < PAGE_BYTES_MAX + 64 * 1024
