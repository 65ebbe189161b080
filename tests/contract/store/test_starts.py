"""Started sessions: their chatbots, repeated starts, and their publication."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from persistence_worker.domain.unit_of_work import Limits
from persistence_worker.storage.tables import chat_sessions
from shared.contracts.events import MessageRejected
from tests.contract.store.harness import StoreHarness, answer
from tests.support.commands import NOON, card, received, send, start


async def test_redelivered_start_is_published_again(store: StoreHarness) -> None:
    """A creation has no number, so that clients cannot detect its loss; one resent by its author is only answered."""
    command = start(title="one")
    answer(await store.apply(command))
    answer(await store.apply(command))
    assert store.updated == []
    answer(await store.apply_received(received(command, redelivered=True)))
    assert [session.id for session in store.updated] == [command.session_id]


async def test_repeated_start_is_answered_with_the_existing_session(store: StoreHarness) -> None:
    """The id of another user's session, or of a deleted one, is not found."""
    command = start(title="one")
    first = answer(await store.apply(command))
    again = answer(await store.apply(command.replace(title="two")))
    assert again.result == {**(first.result or {}), "created": False}
    assert store.updated == []
    stolen = answer(await store.apply(command.replace(user_id="eve")))
    assert stolen.error is not None
    assert stolen.error.code == "not_found"
    await store.database.write(lambda c: c.execute(update(chat_sessions).values(deleted_at=NOON)))
    deleted = answer(await store.apply(command))
    assert deleted.error is not None
    assert deleted.error.code == "not_found"


@pytest.mark.parametrize(
    ("wanted", "code"), [(["echo", "nobody"], "not_found"), (["echo", "eliza", "third"], "conflict")]
)
async def test_start_with_unknown_or_too_many_chatbots_stores_nothing(
    store: StoreHarness, wanted: list[str], code: str
) -> None:
    """Unknown ones are not found; too many conflict."""
    store.runner._limits = Limits(chatbots=2, users=2)
    await store.announce([card("echo"), card("eliza"), card("third")], NOON + timedelta(hours=1))
    command = start(chatbot_ids=wanted)
    refused = answer(await store.apply(command))
    assert refused.error is not None
    assert refused.error.code == code
    await store.apply(send(command.session_id))
    assert store.events(MessageRejected)


async def test_duplicate_chatbots_are_stored_once_in_their_order(store: StoreHarness) -> None:
    reply = answer(await store.apply(start(chatbot_ids=["eliza", "echo", "eliza"])))
    assert reply.result is not None
    assert [c["id"] for c in reply.result["session"]["chatbots"]] == ["eliza", "echo"]


async def test_start_before_the_first_catalogue_is_unavailable(engine: object) -> None:
    reply = answer(await StoreHarness(engine).apply(start()))  # type: ignore[arg-type]
    assert reply.error is not None
    assert (reply.error.code, reply.error.retry_after) == ("unavailable", 2.0)


async def test_new_session_is_published_to_its_partition_and_its_owners_bucket(store: StoreHarness) -> None:
    await store.apply(start())
    assert sorted(key[0] for _, key, _ in store.published) == ["s", "u"]
    assert [s.seq for s in store.updated] == [0]
