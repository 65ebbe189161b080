"""The turn loop: what it takes, what it says, what it acks and when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from chatbot_worker.chatbots.protocol import Turn
from shared.contracts.dead_letters import DeadLetter
from shared.contracts.envelope import read_body
from shared.contracts.events import ReplyStreamed, TypingChanged
from shared.contracts.topology import log
from tests.integration.chatbot_worker.conftest import Start, body, turn
from tests.integration.chatbot_worker.fake_bus import FakeBus
from tests.integration.chatbot_worker.scripted import ECHO, INSTANT, PIECEWISE, SCRIPTED, Counting, Scripted
from tests.support.waiting import until


async def test_a_reply_is_streamed_then_stored_then_acked(bus: FakeBus, start: Start) -> None:
    """Typing, the pieces in order, typing no more, the whole reply under the turn's id, and only then the ack."""
    await start(ECHO)
    asked = turn("one two  three")
    tag = bus.deliver("turns.echo", body(asked))
    await until(lambda: bus.subscriptions["turns.echo"].acked == [tag])
    assert [(d.offset, d.text, d.snapshot) for d in bus.deltas()] == [
        (0, "one ", False),
        (4, "two  ", False),
        (9, "three", False),
    ]
    assert bus.typing() == [True, False]
    finish = bus.finished()[0]
    assert (finish.message_id, finish.content, finish.status) == (asked.message_id, "one two  three", "complete")
    assert {d.attempt for d in bus.deltas()} == {finish.attempt}
    assert 1000 <= finish.attempt < 2000
    exchange, key, event = next(each for each in bus.published if each[2].data is finish)
    assert (exchange, key) == (log(4).name, str(asked.session_id.int % 4))
    assert event.subject == str(asked.session_id)
    assert {key for _, key, _ in bus.streamed} == {f"s.{asked.session_id.int % 4}"}


async def test_complete_reply_is_published_without_typing_and_deltas(bus: FakeBus, start: Start) -> None:
    """Without pauses there is nothing to wait for: its message comes at once."""
    await start(INSTANT)
    tag = bus.deliver("turns.echo", body(turn("a b")))
    await until(lambda: bus.subscriptions["turns.echo"].acked == [tag])
    assert bus.typing() == []
    assert bus.deltas() == []


async def test_complete_reply_without_interval_streams_each_piece(bus: FakeBus, start: Start) -> None:
    """What a measurement of streaming wants."""
    await start(PIECEWISE)
    tag = bus.deliver("turns.echo", body(turn("a b")))
    await until(lambda: bus.subscriptions["turns.echo"].acked == [tag])
    assert [d.text for d in bus.deltas()] == ["a ", "b"]


async def test_a_batch_is_acked_once_when_all_of_it_is_held(bus: FakeBus, start: Start) -> None:
    """A hundred turns in one body: a hundred replies, one publication, one ack; and none before the confirm."""
    await start(INSTANT)
    turns = [turn(f"word{n}") for n in range(100)]
    bus.refused = 2
    tag = bus.deliver("turns.echo", body(*turns))
    await until(lambda: bus.refused == 0)
    assert bus.subscriptions["turns.echo"].acked == []
    await until(lambda: bus.subscriptions["turns.echo"].acked)
    assert bus.subscriptions["turns.echo"].acked == [tag]
    assert [f.message_id for f in bus.finished()] == [t.message_id for t in turns]
    assert [f.content for f in bus.finished()] == [f"word{n}" for n in range(100)]


async def test_a_batch_with_pauses_runs_side_by_side(bus: FakeBus, start: Start) -> None:
    """Each of fifty replies has begun before the first of them has ended."""
    await start(ECHO)
    tag = bus.deliver("turns.echo", body(*(turn("a b c") for _ in range(50))))
    await until(lambda: bus.subscriptions["turns.echo"].acked == [tag])
    assert len(bus.finished()) == 50
    shown = [event.data for _, _, event in bus.streamed]
    first_end = next(n for n, event in enumerate(shown) if isinstance(event, TypingChanged) and not event.typing)
    begun = {event.message_id for event in shown[:first_end] if isinstance(event, ReplyStreamed)}
    assert len(begun) == 50


@pytest.mark.parametrize(("again", "delivery_count"), [(True, 0), (False, 1)])
@pytest.mark.parametrize("toml", [ECHO, INSTANT])
async def test_redelivered_turn_is_answered_only_if_it_is_open(
    bus: FakeBus, start: Start, toml: str, *, again: bool, delivery_count: int
) -> None:
    """Closed: acked and not answered. Open: answered, under a higher attempt. Not known: asked again."""
    await start(toml)
    bus.open = [False, None, True]
    bus.deliver("turns.echo", body(turn(again=again, starts=4)), delivery_count=delivery_count)
    await until(lambda: len(bus.subscriptions["turns.echo"].acked) == 1)
    assert bus.finished() == []
    bus.deliver("turns.echo", body(turn(again=again, starts=4)), delivery_count=delivery_count)
    await until(lambda: len(bus.subscriptions["turns.echo"].acked) == 2)
    assert [f.attempt // 1000 for f in bus.finished()] == [5 + delivery_count]
    assert bus.asked == 3
    assert bus.typing() == ([] if toml is INSTANT else [True, False])


async def test_redelivered_turn_that_runs_is_not_started_again(bus: FakeBus, start: Start, scripted: Scripted) -> None:
    """After a redelivery over a new connection, both deliveries are acked when the single run has ended."""
    go = asyncio.Event()

    async def waits(_turn: Turn) -> AsyncIterator[str]:
        await go.wait()
        yield "done"

    scripted.plays = [waits]
    await start(SCRIPTED)
    asked = turn(chatbot_id="bot")
    first = bus.deliver("turns.bot", body(asked))
    await until(lambda: scripted.started)
    second = bus.deliver("turns.bot", body(asked), delivery_count=1)
    await until(bus.subscriptions["turns.bot"].waiting.empty)
    assert bus.subscriptions["turns.bot"].acked == []
    go.set()
    await until(lambda: sorted(bus.subscriptions["turns.bot"].acked) == [first, second])
    assert scripted.started == len(bus.finished()) == 1


async def test_snapshots_repeat_while_a_reply_is_under_way(
    bus: FakeBus, start: Start, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snapshots repeat also without new text; deltas within an interval are merged."""
    monkeypatch.setattr("chatbot_worker.replies.text_stream.SNAPSHOT_INTERVAL", 0.05)
    go = asyncio.Event()

    async def bursts(_turn: Turn) -> AsyncIterator[str]:
        for letter in "abcdef":
            yield letter
        await go.wait()
        yield "!"

    scripted.plays = [bursts]
    await start(SCRIPTED + "delta_interval = 0.01\n")
    bus.deliver("turns.bot", body(turn(chatbot_id="bot")))
    await until(lambda: sum(delta.snapshot for delta in bus.deltas()) >= 2)
    go.set()
    await until(lambda: bus.subscriptions["turns.bot"].acked)
    told = [(delta.offset, delta.text) for delta in bus.deltas() if not delta.snapshot]
    assert told == [(0, "a"), (1, "bcdef"), (6, "!")]
    assert {delta.text for delta in bus.deltas() if delta.snapshot} == {"abcdef"}


async def test_unreadable_turn_becomes_a_dead_letter_and_fails(bus: FakeBus, start: Start) -> None:
    """Unreadable bodies and events become dead letters; a turn that the event names fails; the valid one is answered."""
    await start(INSTANT)
    fine, unreadable = turn("fine"), turn("not fine")
    bad = body(fine)[:-1] + b"," + body(unreadable)[1:].replace(b'"starts":0', b'"starts":"many"')
    bus.deliver("turns.echo", b"\xff no json")
    bus.deliver("turns.echo", bad)
    await until(lambda: len(bus.subscriptions["turns.echo"].acked) == 2)
    letters = [(key, e.data) for _, key, e in bus.published if isinstance(e.data, DeadLetter)]
    assert [key for key, _ in letters] == ["turns.echo"] * 2
    assert {letter.queue for _, letter in letters} == {"turns.echo"}
    originals = [letter.original() for _, letter in letters]
    assert b"\xff no json" in originals
    (event,) = read_body(next(o for o in originals if o != b"\xff no json"))
    assert event.data["starts"] == "many"
    failed, answered = bus.finished()
    assert (failed.message_id, failed.status, failed.content) == (unreadable.message_id, "failed", "")
    assert failed.error is not None
    assert failed.error.code == "chatbot_failed"
    assert (answered.message_id, answered.status, answered.content) == (fine.message_id, "complete", "fine")


async def test_no_more_turns_at_once_than_the_chatbot_allows(bus: FakeBus, start: Start, scripted: Scripted) -> None:
    """A body may hold more turns than may run."""
    counting = Counting()
    scripted.plays = [counting]
    await start(SCRIPTED + "concurrency = 3\n")
    bus.deliver("turns.bot", body(*(turn(chatbot_id="bot") for _ in range(10))))
    await until(lambda: bus.subscriptions["turns.bot"].acked)
    assert (counting.most, len(bus.finished())) == (3, 10)


@pytest.mark.parametrize("kind", ["echo", "eliza"])
async def test_large_batch_does_not_block_the_event_loop(bus: FakeBus, start: Start, kind: str) -> None:
    """A large batch of long messages leaves the loop to others at least every 50 ms."""
    await start(f'[[chatbots]]\nid = "bot"\nname = "Bot"\nkind = "{kind}"\noptions = {{delay = 0}}\n')
    batch = body(*(turn("my mother and I " * 1_000, chatbot_id="bot") for _ in range(16)))  # 256 KiB
    acked = bus.subscriptions["turns.bot"].acked

    async def longest() -> float:
        tag = bus.deliver("turns.bot", batch)
        held, last = 0.0, time.thread_time()  # CPU time of this thread, without that of other processes
        while tag not in acked:
            await asyncio.sleep(0)
            now = time.thread_time()
            held, last = max(held, now - last), now
        return held

    assert min([await longest() for _ in range(3)]) < 0.05  # one may meet a full collection of the whole run's garbage


@pytest.mark.parametrize(("counts", "earlier_seen"), [(False, ["word 7", "word 8"]), (True, ["word 8"])])
async def test_a_chatbot_sees_what_fits_into_its_budget(
    bus: FakeBus,
    start: Start,
    scripted: Scripted,
    monkeypatch: pytest.MonkeyPatch,
    *,
    counts: bool,
    earlier_seen: list[str],
) -> None:
    """The newest of what is older, by our estimate or the chatbot's own count, and what is to be answered."""
    if counts:
        monkeypatch.setattr(scripted, "count_tokens", len, raising=False)
    seen: list[str] = []

    async def looks(asked: Turn) -> AsyncIterator[str]:
        seen.extend(message.content for message in asked.context)
        yield "done"

    scripted.plays = [looks]
    await start(SCRIPTED + "context = {tokens = 40}\n")
    asked = turn("and now?", chatbot_id="bot")
    earlier = [asked.context[0].replace(content=f"word {n}", unanswered=False) for n in range(9)]
    bus.deliver("turns.bot", body(asked.replace(context=[*earlier, *asked.context])))
    await until(lambda: bus.subscriptions["turns.bot"].acked)
    assert seen == [*earlier_seen, "and now?"]
