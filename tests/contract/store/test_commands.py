"""Commands on each database: stored once, refused, and published again after a crash."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import update

from persistence_worker.domain.command_batch import REPUBLISH_AFTER
from persistence_worker.storage.tables import chat_sessions, session_users, turns
from shared.contracts.events import MessageRejected, SessionHead
from shared.contracts.payload import utc_now
from shared.contracts.views import ErrorView
from tests.contract.store.harness import StoreHarness
from tests.support.commands import NOON, card, finish, received, send, soon, start


async def test_repeated_message_is_stored_once_with_its_first_content(store: StoreHarness) -> None:
    """A repeat changes nothing; a redelivered one publishes the head, and the open turn as republished."""
    session_id = await store.session()
    message = send(session_id, "first")
    await store.apply(message)
    [turn] = store.turns
    await store.apply_received(received(message.replace(content="second"), redelivered=True))
    assert store.stored == []
    assert [h.last_seq for h in store.events(SessionHead)] == [1]
    [again] = store.turns
    assert (again.message_id, again.starts, again.again) == (turn.message_id, 1, True)
    assert [m.content for m in again.context] == ["first"]
    await store.apply_received(received(message, redelivered=True))
    assert [t.starts for t in store.turns] == [2]
    assert [m.content for m in (await store.join(session_id)).messages] == ["first"]


async def test_resent_message_republishes_its_turn_only_after_a_while(store: StoreHarness) -> None:
    """The head is published each time."""
    session_id = await store.session()
    await store.apply(message := send(session_id))
    for _ in range(3):
        await store.apply(message, message)
        assert store.turns == []
        assert [h.last_seq for h in store.events(SessionHead)] == [1]
    long_ago = utc_now() - REPUBLISH_AFTER
    await store.database.write(lambda c: c.execute(update(turns).values(published_at=long_ago)))
    await store.apply(message, message)
    assert [t.again for t in store.turns] == [True]
    await store.apply(message)
    assert store.turns == []


async def test_repetition_within_one_batch_starts_no_second_turn(store: StoreHarness) -> None:
    session_id = await store.session()
    message = send(session_id)
    await store.apply(message, message, message)
    assert len(store.stored) == 1
    assert [t.again for t in store.turns] == [False]


async def test_numbers_follow_the_order_of_the_batch_without_a_gap(store: StoreHarness) -> None:
    """For each of several interleaved sessions."""
    one, two = await store.session(), await store.session()
    commands = [send(one if n % 3 else two, str(n)) for n in range(30)]
    await store.apply(*commands)
    for session_id in (one, two):
        messages = (await store.join(session_id)).messages
        assert [m.seq for m in messages] == list(range(1, len(messages) + 1))
        assert [m.content for m in messages] == [c.content for c in commands if c.session_id == session_id]


@pytest.mark.parametrize("why", ["missing", "stranger", "deleted"])
async def test_message_that_may_not_be_stored_is_rejected(store: StoreHarness, why: str) -> None:
    """A client cannot distinguish a missing session, a deleted one, and one of other users."""
    session_id = await store.session() if why != "missing" else uuid4()
    if why == "deleted":
        await store.database.write(lambda c: c.execute(update(chat_sessions).values(deleted_at=NOON)))
    author = "eve" if why == "stranger" else "ada"
    message = send(session_id, user=author, client_message_id="c1")
    await store.apply(message)
    [rejected] = store.events(MessageRejected)
    assert (rejected.code, rejected.user_id, rejected.message_id) == ("not_found", author, message.message_id)
    assert rejected.client_message_id == "c1"
    assert store.stored == store.turns == []


async def test_reply_to_must_refer_to_a_message_of_the_session(store: StoreHarness) -> None:
    """A message of the same batch counts; every other value is stored as null."""
    session_id, other = await store.session(), await store.session()
    first, foreign = send(session_id), send(other)
    await store.apply(first, foreign)
    await store.apply(
        good := send(session_id, reply_to=first.message_id),
        send(session_id, reply_to=good.message_id),
        send(session_id, reply_to=foreign.message_id),
        send(session_id, reply_to=uuid4()),
    )
    assert [m.reply_to for m in store.stored] == [first.message_id, good.message_id, None, None]


async def test_command_past_its_deadline_is_neither_stored_nor_answered(store: StoreHarness) -> None:
    """All timely commands of its batch are."""
    late, live = start(), start()
    applied = await store.apply_received(received(late, soon(-1)), received(live, soon(60)))
    assert [received.subject for received, _ in applied.batch.answers] == [str(live.session_id)]
    await store.apply(send(late.session_id))
    assert store.events(MessageRejected)


async def test_redelivered_command_is_published_after_its_deadline_if_it_was_committed(store: StoreHarness) -> None:
    """A late command that was not committed is not applied."""
    begun, message, never = start(), send(uuid4()), start()
    message = message.replace(session_id=begun.session_id)
    await store.apply(begun, message)
    late = [received(command, soon(-1), redelivered=True) for command in (begun, message, never)]
    applied = await store.apply_received(*late)
    assert [received.subject for received, _ in applied.batch.answers] == [str(begun.session_id)]
    assert [t.again for t in store.turns] == [True]
    assert [h.last_seq for h in store.events(SessionHead)] == [1]
    await store.apply(send(never.session_id))
    assert store.events(MessageRejected)


async def test_deadline_that_passes_before_the_commit_rolls_back(store: StoreHarness) -> None:
    """The transaction is applied again without the late command."""
    late, live = start(), start()
    runs = []
    contexts = store.contexts.build

    def slow(*args: object) -> object:
        runs.append(1)
        while len(runs) == 1 and soon(0) <= deadline:
            pass
        return contexts(*args)  # type: ignore[arg-type]

    store.contexts.build = slow  # type: ignore[method-assign, assignment]
    deadline = soon(0.3)
    applied = await store.apply_received(received(late, deadline), received(live))
    assert len(runs) == 2
    assert [received.subject for received, _ in applied.batch.answers] == [str(live.session_id)]
    await store.apply(send(late.session_id), send(live.session_id))
    assert len(store.stored) == len(store.events(MessageRejected)) == 1


async def test_first_reply_of_a_turn_wins(store: StoreHarness) -> None:
    """Another one, in the same or a later batch, only publishes the head."""
    session_id = await store.session()
    await store.apply(send(session_id))
    [turn] = store.turns
    await store.apply(finish(turn, "first"), finish(turn, "second"))
    assert [m.content for m in store.stored] == ["first"]
    await store.apply(finish(turn, "third"))
    assert store.stored == store.turns == []
    assert [h.last_seq for h in store.events(SessionHead)] == [3]


async def test_reply_without_an_open_turn_of_its_chatbot_is_dropped(store: StoreHarness) -> None:
    session_id = await store.session(chatbot_ids=["echo", "eliza"])
    await store.apply(send(session_id, "hello @echo"))
    [turn] = store.turns
    await store.apply(finish(turn.replace(chatbot_id="eliza")))
    await store.apply(finish(turn.replace(message_id=uuid4())))
    assert store.stored == []


async def test_reply_that_is_too_long_is_cut(store: StoreHarness) -> None:
    """At 100,000 code points, as stopped; NUL is removed, because PostgreSQL cannot store it."""
    session_id = await store.session()
    await store.apply(send(session_id))
    await store.apply(finish(store.turns[0], "\x00" + "ä" * 100_001))
    [reply] = (await store.join(session_id)).messages[1:]
    assert (len(reply.content), reply.status) == (100_000, "stopped")
    assert reply.error is not None
    assert reply.error.code == "too_long"


async def test_failed_reply_keeps_its_error(store: StoreHarness) -> None:
    session_id = await store.session(title="given")
    await store.apply(send(session_id))
    error = ErrorView(code="timeout", message="Too slow.")
    await store.apply(finish(store.turns[0], "", status="failed", error=error))
    reply = (await store.join(session_id)).messages[-1]
    assert (reply.status, reply.error, reply.content) == ("failed", error, "")
    assert store.updated == []  # a title that is set stays


async def test_turn_of_a_chatbot_without_a_card_fails_through_the_log(store: StoreHarness) -> None:
    """A failed reply is published to the session's partition instead of a turn."""
    session_id = await store.session(chatbot_ids=["eliza"])
    await store.announce([card("echo")], NOON + timedelta(hours=1))
    await store.apply(send(session_id))
    assert store.turns == []
    exchange, _, event = store.published[-1]
    assert exchange.name == "chat.log.4"
    await store.apply(event.data)
    [reply] = store.stored
    assert reply.status == "failed"
    assert reply.error is not None
    assert reply.error.code == "chatbot_unavailable"
    assert store.updated[0].chatbots[0].name == "Eliza"  # its name is kept


async def test_newest_catalogue_wins(store: StoreHarness) -> None:
    """Of two with the same date, the last one is stored."""
    assert not await store.announce([card("old")], NOON - timedelta(hours=1))
    assert not await store.announce(at=NOON)
    assert await store.announce([card("other")], NOON)
    assert not await store.announce([card("other")], NOON)
    assert await store.announce([card("new")], NOON + timedelta(seconds=1))
    assert [c.id for c in store.catalogue.cards] == ["new"]


async def test_reply_policy_decides_which_chatbots_answer(store: StoreHarness) -> None:
    """Over three messages."""
    asked: dict[str, list[list[str]]] = {}
    for policy in ("mentioned", "all", "round_robin", "silent"):
        session_id = await store.session(chatbot_ids=["echo", "eliza"], reply_policy=policy)
        asked[policy] = []
        for content in ("hello", "hello @eliza", "third"):
            await store.apply(send(session_id, content))
            asked[policy].append([t.chatbot_id for t in store.turns])
            for turn in store.turns:
                await store.apply(finish(turn))
    assert asked == {
        "mentioned": [["echo"], ["eliza"], ["echo"]],
        "all": [["echo", "eliza"]] * 3,
        "round_robin": [["echo"], ["eliza"], ["echo"]],
        "silent": [[], [], []],
    }


async def test_former_members_are_not_members(store: StoreHarness) -> None:
    """Membership is loaded under the lock for every batch."""
    session_id = await store.session()
    await store.database.write(lambda c: c.execute(session_users.delete()))
    await store.apply(send(session_id))
    assert store.events(MessageRejected)
