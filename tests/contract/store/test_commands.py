"""Commands: what is stored once, what is refused, what is told again."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import update

from persistence_worker.domain.command_batch import TURN_HEARD
from persistence_worker.domain.unit_of_work import Limits
from persistence_worker.storage.tables import chat_sessions, session_users, turns
from shared.contracts.events import MessageRejected, SessionHead
from shared.contracts.payload import utc_now
from shared.contracts.views import ErrorView
from tests.contract.store.desk import NOON, Desk, answer, card, finish, order, send, soon, start


async def test_a_message_sent_again_is_stored_once_and_the_first_content_wins(desk: Desk) -> None:
    """The repeat changes nothing; a redelivered one tells the head and the open turn, marked and counted."""
    session_id = await desk.session()
    message = send(session_id, "first")
    await desk.apply(message)
    [turn] = desk.turns
    await desk.apply_orders(order(message.model_copy(update={"content": "second"}), redelivered=True))
    assert desk.stored == []
    assert [h.last_seq for h in desk.events(SessionHead)] == [1]
    [again] = desk.turns
    assert (again.message_id, again.starts, again.again) == (turn.message_id, 1, True)
    assert [m.content for m in again.context] == ["first"]
    await desk.apply_orders(order(message, redelivered=True))
    assert [t.starts for t in desk.turns] == [2]
    assert [m.content for m in (await desk.join(session_id)).messages] == ["first"]


async def test_a_message_that_its_author_sends_again_does_not_fill_the_queues_of_turns(desk: Desk) -> None:
    """The head is told each time; the open turn only if its publication is long ago, and then once."""
    session_id = await desk.session()
    await desk.apply(message := send(session_id))
    for _ in range(3):
        await desk.apply(message, message)
        assert desk.turns == []
        assert [h.last_seq for h in desk.events(SessionHead)] == [1]
    long_ago = utc_now() - TURN_HEARD
    await desk.database.write(lambda c: c.execute(update(turns).values(published_at=long_ago)))
    await desk.apply(message, message)
    assert [t.again for t in desk.turns] == [True]
    await desk.apply(message)
    assert desk.turns == []


async def test_repeats_within_one_batch_are_one(desk: Desk) -> None:
    """A resend that lands in the same transaction starts no second turn."""
    session_id = await desk.session()
    message = send(session_id)
    await desk.apply(message, message, message)
    assert len(desk.stored) == 1
    assert [t.again for t in desk.turns] == [False]


async def test_numbers_follow_the_order_of_the_batch_without_a_hole(desk: Desk) -> None:
    """Interleaved sessions each count for themselves."""
    one, two = await desk.session(), await desk.session()
    commands = [send(one if n % 3 else two, str(n)) for n in range(30)]
    await desk.apply(*commands)
    for session_id in (one, two):
        messages = (await desk.join(session_id)).messages
        assert [m.seq for m in messages] == list(range(1, len(messages) + 1))
        assert [m.content for m in messages] == [c.content for c in commands if c.session_id == session_id]


@pytest.mark.parametrize("why", ["missing", "stranger", "deleted"])
async def test_a_message_that_may_not_be_stored_is_rejected(desk: Desk, why: str) -> None:
    """Missing, deleted and foreign sessions look the same; the author is told."""
    session_id = await desk.session() if why != "missing" else uuid4()
    if why == "deleted":
        await desk.database.write(lambda c: c.execute(update(chat_sessions).values(deleted_at=NOON)))
    author = "eve" if why == "stranger" else "ada"
    message = send(session_id, user=author, client_message_id="c1")
    await desk.apply(message)
    [rejected] = desk.events(MessageRejected)
    assert (rejected.code, rejected.user_id, rejected.message_id) == ("not_found", author, message.message_id)
    assert rejected.client_message_id == "c1"
    assert desk.stored == desk.turns == []


async def test_reply_to_must_name_a_message_of_the_session(desk: Desk) -> None:
    """Of the same session, of the same batch too; anything else is stored as null."""
    session_id, other = await desk.session(), await desk.session()
    first, foreign = send(session_id), send(other)
    await desk.apply(first, foreign)
    await desk.apply(
        good := send(session_id, reply_to=first.message_id),
        send(session_id, reply_to=good.message_id),
        send(session_id, reply_to=foreign.message_id),
        send(session_id, reply_to=uuid4()),
    )
    assert [m.reply_to for m in desk.stored] == [first.message_id, good.message_id, None, None]


async def test_a_start_that_a_crash_swallowed_is_told_again(desk: Desk) -> None:
    """Creation takes no number, so no gap would ever show it; sent again by its author it is only answered."""
    command = start(title="one")
    answer(await desk.apply(command))
    answer(await desk.apply(command))
    assert desk.updated == []
    answer(await desk.apply_orders(order(command, redelivered=True)))
    assert [session.id for session in desk.updated] == [command.session_id]


async def test_start_again_answers_with_what_it_is(desk: Desk) -> None:
    """The first payload wins; another's id, or a deleted one's, is not found."""
    command = start(title="one")
    first = answer(await desk.apply(command))
    again = answer(await desk.apply(command.model_copy(update={"title": "two"})))
    assert again.result == first.result
    assert desk.updated == []
    stolen = answer(await desk.apply(command.model_copy(update={"user_id": "eve"})))
    assert stolen.error is not None
    assert stolen.error.code == "not_found"
    await desk.database.write(lambda c: c.execute(update(chat_sessions).values(deleted_at=NOON)))
    deleted = answer(await desk.apply(command))
    assert deleted.error is not None
    assert deleted.error.code == "not_found"


@pytest.mark.parametrize(
    ("wanted", "code"), [(["echo", "nobody"], "not_found"), (["echo", "eliza", "third"], "conflict")]
)
async def test_chatbots_that_cannot_be_had_are_refused(desk: Desk, wanted: list[str], code: str) -> None:
    """Unknown ones are not found; more than a session holds conflict; nothing is stored."""
    desk.ledger._limits = Limits(chatbots=2, users=2)
    await desk.announce([card("echo"), card("eliza"), card("third")], NOON + timedelta(hours=1))
    command = start(chatbot_ids=wanted)
    refused = answer(await desk.apply(command))
    assert refused.error is not None
    assert refused.error.code == code
    await desk.apply(send(command.session_id))
    assert desk.events(MessageRejected)


async def test_duplicate_chatbots_collapse_and_keep_their_order(desk: Desk) -> None:
    """The session names each once."""
    reply = answer(await desk.apply(start(chatbot_ids=["eliza", "echo", "eliza"])))
    assert reply.result is not None
    assert [c["id"] for c in reply.result["session"]["chatbots"]] == ["eliza", "echo"]


async def test_without_a_catalogue_nothing_can_be_started(engine: object) -> None:
    """Until the first announcement: unavailable, try again."""
    reply = answer(await Desk(engine).apply(start()))  # type: ignore[arg-type]
    assert reply.error is not None
    assert (reply.error.code, reply.error.retry_after) == ("unavailable", 2.0)


async def test_a_command_past_its_deadline_changes_nothing(desk: Desk) -> None:
    """Neither stored nor answered; its neighbours are."""
    late, live = start(), start()
    applied = await desk.apply_orders(order(late, soon(-1)), order(live, soon(60)))
    assert [received.subject for received, _ in applied.batch.answers] == [str(live.session_id)]
    await desk.apply(send(late.session_id))
    assert desk.events(MessageRejected)


async def test_what_was_committed_and_not_told_is_told_after_its_deadline(desk: Desk) -> None:
    """Its redelivery is answered and tells what was done; with it nothing that is late is begun."""
    begun, message, never = start(), send(uuid4()), start()
    message = message.model_copy(update={"session_id": begun.session_id})
    await desk.apply(begun, message)
    late = [order(command, soon(-1), redelivered=True) for command in (begun, message, never)]
    applied = await desk.apply_orders(*late)
    assert [received.subject for received, _ in applied.batch.answers] == [str(begun.session_id)]
    assert [t.again for t in desk.turns] == [True]
    assert [h.last_seq for h in desk.events(SessionHead)] == [1]
    await desk.apply(send(never.session_id))
    assert desk.events(MessageRejected)


async def test_a_deadline_that_passes_before_the_commit_takes_it_all_back(desk: Desk) -> None:
    """Checked last: the transaction is applied anew without the late one."""
    late, live = start(), start()
    runs = []
    contexts = desk.ledger.contexts

    def slow(*args: object) -> object:
        runs.append(1)
        while len(runs) == 1 and soon(0) <= deadline:
            pass
        return contexts(*args)  # type: ignore[arg-type]

    desk.ledger.contexts = slow  # type: ignore[method-assign, assignment]
    deadline = soon(0.3)
    applied = await desk.apply_orders(order(late, deadline), order(live))
    assert len(runs) == 2
    assert [received.subject for received, _ in applied.batch.answers] == [str(live.session_id)]
    await desk.apply(send(late.session_id), send(live.session_id))
    assert len(desk.stored) == len(desk.events(MessageRejected)) == 1


async def test_the_first_finished_reply_wins(desk: Desk) -> None:
    """A second finish of the same turn, in whatever batch, only tells the head."""
    session_id = await desk.session()
    await desk.apply(send(session_id))
    [turn] = desk.turns
    await desk.apply(finish(turn, "first"), finish(turn, "second"))
    assert [m.content for m in desk.stored] == ["first"]
    await desk.apply(finish(turn, "third"))
    assert desk.stored == desk.turns == []
    assert [h.last_seq for h in desk.events(SessionHead)] == [3]


async def test_a_finish_of_no_turn_is_ignored(desk: Desk) -> None:
    """Nobody can put words into a session without an open turn of that chatbot."""
    session_id = await desk.session(chatbot_ids=["echo", "eliza"])
    await desk.apply(send(session_id, "hello @echo"))
    [turn] = desk.turns
    await desk.apply(finish(turn.model_copy(update={"chatbot_id": "eliza"})))
    await desk.apply(finish(turn.model_copy(update={"message_id": uuid4()})))
    assert desk.stored == []


async def test_a_reply_that_is_too_long_is_cut(desk: Desk) -> None:
    """At 100,000 code points, stopped, with the reason; NUL is dropped, which PostgreSQL has none of."""
    session_id = await desk.session()
    await desk.apply(send(session_id))
    await desk.apply(finish(desk.turns[0], "\x00" + "ä" * 100_001))
    [reply] = (await desk.join(session_id)).messages[1:]
    assert (len(reply.content), reply.status) == (100_000, "stopped")
    assert reply.error is not None
    assert reply.error.code == "too_long"


async def test_a_failed_reply_keeps_its_error(desk: Desk) -> None:
    """Status and error come back as they were."""
    session_id = await desk.session(title="given")
    await desk.apply(send(session_id))
    error = ErrorView(code="timeout", message="Too slow.")
    await desk.apply(finish(desk.turns[0], "", status="failed", error=error))
    reply = (await desk.join(session_id)).messages[-1]
    assert (reply.status, reply.error, reply.content) == ("failed", error, "")
    assert desk.updated == []  # a title that is set stays


async def test_a_chatbot_gone_from_the_catalogue_fails_through_the_log(desk: Desk) -> None:
    """Instead of a turn, a failed reply is put into the session's partition."""
    session_id = await desk.session(chatbot_ids=["eliza"])
    await desk.announce([card("echo")], NOON + timedelta(hours=1))
    await desk.apply(send(session_id))
    assert desk.turns == []
    exchange, _, event = desk.told[-1]
    assert exchange.name == "chat.log.4"
    await desk.apply(event.data)
    [reply] = desk.stored
    assert reply.status == "failed"
    assert reply.error is not None
    assert reply.error.code == "chatbot_unavailable"
    assert desk.updated[0].chatbots[0].name == "Eliza"  # its name is kept


async def test_the_newest_catalogue_wins(desk: Desk) -> None:
    """An older announcement, or the same again, changes nothing; of two as new, the last is taken."""
    assert not await desk.announce([card("old")], NOON - timedelta(hours=1))
    assert not await desk.announce(at=NOON)
    assert await desk.announce([card("other")], NOON)
    assert not await desk.announce([card("other")], NOON)
    assert await desk.announce([card("new")], NOON + timedelta(seconds=1))
    assert [c.id for c in desk.catalogue.cards] == ["new"]


async def test_policies(desk: Desk) -> None:
    """Who is asked, over three messages."""
    asked: dict[str, list[list[str]]] = {}
    for policy in ("mentioned", "all", "round_robin", "silent"):
        session_id = await desk.session(chatbot_ids=["echo", "eliza"], reply_policy=policy)
        asked[policy] = []
        for content in ("hello", "hello @eliza", "third"):
            await desk.apply(send(session_id, content))
            asked[policy].append([t.chatbot_id for t in desk.turns])
            for turn in desk.turns:
                await desk.apply(finish(turn))
    assert asked == {
        "mentioned": [["echo"], ["eliza"], ["echo"]],
        "all": [["echo", "eliza"]] * 3,
        "round_robin": [["echo"], ["eliza"], ["echo"]],
        "silent": [[], [], []],
    }


async def test_every_user_hears_of_a_new_session_once_a_bucket(desk: Desk) -> None:
    """Creation takes no number and goes to the owner's bucket too."""
    await desk.apply(start())
    assert sorted(key[0] for _, key, _ in desk.told) == ["s", "u"]
    assert [s.seq for s in desk.updated] == [0]


async def test_former_members_are_strangers(desk: Desk) -> None:
    """Membership is read under the lock, for every batch."""
    session_id = await desk.session()
    await desk.database.write(lambda c: c.execute(session_users.delete()))
    await desk.apply(send(session_id))
    assert desk.events(MessageRejected)
