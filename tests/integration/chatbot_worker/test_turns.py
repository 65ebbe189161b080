"""The turn loop: what it takes, what it says, what it acks and when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from chatbot_worker import turns as turns_module
from chatbot_worker.chatbots.kinds import KINDS
from chatbot_worker.chatbots.protocol import Kind, Options, Turn
from chatbot_worker.limits import CRASHES_MAX
from shared.contracts.dead import DeadLetter
from shared.contracts.envelope import read_body
from shared.contracts.events import ContextWanted
from shared.contracts.topology import log
from shared.contracts.turns import RunTurn
from shared.contracts.views import REPLY_CONTENT_MAX
from shared.runtime.service import Service
from tests.integration.chatbot_worker.conftest import body, turn, until
from tests.integration.chatbot_worker.fake_bus import FakeBus

Start = Callable[[str], Awaitable[Service]]

ECHO = """
[[chatbots]]
id = "echo"
name = "Echo"
kind = "echo"
delta_interval = 0
"""
PIECEWISE = ECHO + "options = {delay = 0}\n"
INSTANT = PIECEWISE.replace("delta_interval = 0\n", "")


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


async def test_an_instant_chatbot_neither_types_nor_streams(bus: FakeBus, start: Start) -> None:
    """Without pauses there is nothing to wait for: its message comes at once."""
    await start(INSTANT)
    tag = bus.deliver("turns.echo", body(turn("a b")))
    await until(lambda: bus.subscriptions["turns.echo"].acked == [tag])
    assert bus.typing() == []
    assert bus.deltas() == []


async def test_an_instant_chatbot_without_interval_tells_each_piece(bus: FakeBus, start: Start) -> None:
    """What a measurement of streaming wants."""
    await start(PIECEWISE)
    tag = bus.deliver("turns.echo", body(turn("a b")))
    await until(lambda: bus.subscriptions["turns.echo"].acked == [tag])
    assert [d.text for d in bus.deltas()] == ["a ", "b"]


class Scripted:
    """A chatbot that does what a test says; one reply function for each start, the last for all further ones."""

    def __init__(self) -> None:
        self.plays: list[Callable[[Turn], AsyncIterator[str]]] = []
        self.started = 0
        self.closed = 0
        self.streams: list[AsyncIterator[str]] = []  # held, so that nothing but `aclose` closes them

    def reply(self, turn: Turn) -> AsyncIterator[str]:
        play = self.plays[min(self.started, len(self.plays) - 1)]
        self.started += 1
        self.streams.append(self._watched(play(turn)))
        return self.streams[-1]

    async def _watched(self, pieces: AsyncIterator[str]) -> AsyncIterator[str]:
        try:
            async for piece in pieces:
                yield piece
        finally:
            self.closed += 1


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    chatbot = Scripted()
    kind = Kind(Options, lambda _: chatbot, immediate=False, context=ContextWanted(messages=9, bytes=9), concurrency=4)
    monkeypatch.setattr("chatbot_worker.catalogue.KINDS", {**KINDS, "scripted": kind})
    monkeypatch.setattr("chatbot_worker.replies.RETRY_PAUSE", 0.01)
    return chatbot


SCRIPTED = """
[[chatbots]]
id = "bot"
name = "Bot"
kind = "scripted"
"""


async def hello(_turn: Turn) -> AsyncIterator[str]:
    yield "hello"


async def hang(_turn: Turn) -> AsyncIterator[str]:
    yield "so far"
    await asyncio.Event().wait()


async def never(_turn: Turn) -> AsyncIterator[str]:
    await asyncio.Event().wait()
    yield ""


async def breaks(_turn: Turn) -> AsyncIterator[str]:
    yield "so f"
    raise RuntimeError("the words of a person")


async def raises_cancelled(_turn: Turn) -> AsyncIterator[str]:
    yield "so f"
    raise asyncio.CancelledError


async def flood(_turn: Turn) -> AsyncIterator[str]:
    while True:
        yield "x" * 999


async def nothing(_turn: Turn) -> AsyncIterator[str]:
    return
    yield ""


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
    """Fifty replies of three words take hardly longer than one: one after the other they would take 6 s."""
    await start(ECHO)
    began = time.monotonic()
    tag = bus.deliver("turns.echo", body(*(turn("a b c") for _ in range(50))))
    await until(lambda: bus.subscriptions["turns.echo"].acked == [tag])
    assert len(bus.finished()) == 50
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(("again", "delivery_count"), [(True, 0), (False, 1)])
@pytest.mark.parametrize("toml", [ECHO, INSTANT])
async def test_a_turn_that_may_be_over_is_asked_about(
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


async def test_a_turn_that_runs_here_is_not_started_again(bus: FakeBus, start: Start, scripted: Scripted) -> None:
    """It came again over a new connection: both deliveries are acked, when the one run has ended."""
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


@pytest.mark.parametrize(
    ("play", "limits", "content"),
    [
        (never, "first_token = 0.05", ""),
        (hang, "between_tokens = 0.05", "so far"),
        (hang, "total = 0.05", "so far"),
    ],
)
async def test_what_takes_too_long_fails(
    bus: FakeBus,
    start: Start,
    scripted: Scripted,
    play: Callable[[Turn], AsyncIterator[str]],
    limits: str,
    content: str,
) -> None:
    """Each limit ends the turn; what came stays; the chatbot is closed; nobody types any more."""
    scripted.plays = [play]
    await start(SCRIPTED + f"limits = {{{limits}}}\n")
    bus.deliver("turns.bot", body(turn(chatbot_id="bot")))
    await until(lambda: bus.subscriptions["turns.bot"].acked)
    (finish,) = bus.finished()
    assert (finish.status, finish.content) == ("failed", content)
    assert finish.error is not None
    assert finish.error.code == "timeout"
    assert (scripted.started, scripted.closed) == (1, 1)
    assert bus.typing() == [True, False]


@pytest.mark.parametrize("breaking", [breaks, raises_cancelled])
async def test_a_chatbot_that_breaks_is_tried_again(
    bus: FakeBus,
    start: Start,
    scripted: Scripted,
    breaking: Callable[[Turn], AsyncIterator[str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A new start has a higher attempt and begins its text anew; the words in the error reach no log."""
    scripted.plays = [breaking, hello]
    await start(SCRIPTED)
    bus.deliver("turns.bot", body(turn(chatbot_id="bot")))
    await until(lambda: bus.subscriptions["turns.bot"].acked)
    (finish,) = bus.finished()
    assert (finish.status, finish.content) == ("complete", "hello")
    first, second = bus.deltas()
    assert (first.text, second.text, second.offset) == ("so f", "hello", 0)
    assert first.attempt < second.attempt == finish.attempt
    assert "the words of a person" not in caplog.text


async def test_a_chatbot_that_only_breaks_fails_the_turn(bus: FakeBus, start: Start, scripted: Scripted) -> None:
    """After as many attempts as it has."""
    scripted.plays = [breaks]
    await start(SCRIPTED + "limits = {attempts = 2}\n")
    bus.deliver("turns.bot", body(turn(chatbot_id="bot")))
    await until(lambda: bus.subscriptions["turns.bot"].acked)
    (finish,) = bus.finished()
    assert (finish.status, finish.content, scripted.started) == ("failed", "so f", 2)
    assert finish.error is not None
    assert finish.error.code == "chatbot_failed"


@pytest.mark.parametrize(
    ("play", "status", "code", "length"),
    [(flood, "stopped", "too_long", REPLY_CONTENT_MAX), (nothing, "failed", "empty_reply", 0)],
)
async def test_replies_of_no_use(
    bus: FakeBus,
    start: Start,
    scripted: Scripted,
    play: Callable[[Turn], AsyncIterator[str]],
    status: str,
    code: str,
    length: int,
) -> None:
    """Endless is cut and the chatbot closed; empty is a failure, not silence."""
    scripted.plays = [play]
    await start(SCRIPTED)
    bus.deliver("turns.bot", body(turn(chatbot_id="bot")))
    await until(lambda: bus.subscriptions["turns.bot"].acked)
    (finish,) = bus.finished()
    assert finish.error is not None
    assert (finish.status, finish.error.code, len(finish.content)) == (status, code, length)
    assert scripted.closed == 1


async def test_a_turn_that_takes_its_workers_down_is_given_up(bus: FakeBus, start: Start, scripted: Scripted) -> None:
    """It was delivered again and again and never acked: it fails without another start."""
    scripted.plays = [hello]
    await start(SCRIPTED)
    bus.open = [True]
    bus.deliver("turns.bot", body(turn(chatbot_id="bot")), delivery_count=CRASHES_MAX)
    await until(lambda: bus.subscriptions["turns.bot"].acked)
    assert [(f.status, f.error.code if f.error else "") for f in bus.finished()] == [("failed", "chatbot_failed")]
    assert scripted.started == 0


async def test_whoever_joins_gets_the_whole_text_within_a_second(
    bus: FakeBus, start: Start, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snapshots go on while a reply is under way, also while nothing new comes; deltas are coalesced."""
    monkeypatch.setattr("chatbot_worker.live.SNAPSHOT_EVERY", 0.05)
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


async def test_what_is_no_turn_goes_to_the_dead_letters(bus: FakeBus, start: Start) -> None:
    """Whole bodies and single events; a turn that is named all the same fails; the good one beside it is answered."""
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


async def test_a_stop_lets_run_what_ends_soon_and_hands_back_the_rest(
    bus: FakeBus, start: Start, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is taken any more; what hangs is published again with a higher number, then acked; under 5 s."""
    monkeypatch.setattr(turns_module, "GRACE", 0.2)
    service = await start(SCRIPTED + ECHO)
    scripted.plays = [hang]
    hanging = turn(chatbot_id="bot", starts=2)
    bus.deliver("turns.bot", body(hanging))
    bus.open = [True]
    echoed = bus.deliver("turns.echo", body(turn("a b c d")))
    await until(lambda: bus.deltas() and scripted.started)
    assert service.drain is not None
    await service.drain()
    (finish,) = bus.finished()
    assert finish.content == "a b c d"
    assert bus.subscriptions["turns.echo"].acked == [echoed]
    ((exchange, key, event),) = [p for p in bus.published if isinstance(p[2].data, RunTurn)]
    assert (exchange, key) == ("chat.turns", "bot")
    assert event.data == hanging.model_copy(update={"again": True, "starts": 3})
    assert len(bus.subscriptions["turns.bot"].acked) == 1
    assert scripted.closed == 1
    assert all(subscription.closed for subscription in bus.subscriptions.values())


async def test_what_cannot_be_handed_back_is_not_acked(
    bus: FakeBus, start: Start, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the broker away at the stop the turn stays on its queue."""
    monkeypatch.setattr(turns_module, "GRACE", 0.05)
    service = await start(SCRIPTED)
    scripted.plays = [hang]
    bus.deliver("turns.bot", body(turn(chatbot_id="bot")))
    await until(lambda: scripted.started)
    bus.refused = 1_000
    assert service.drain is not None
    await service.drain()
    assert bus.subscriptions["turns.bot"].acked == []
    assert bus.subscriptions["turns.bot"].closed


async def test_no_more_turns_at_once_than_the_chatbot_allows(bus: FakeBus, start: Start, scripted: Scripted) -> None:
    """A body may hold more turns than may run."""
    at_once, most = 0, 0

    async def counts(_turn: Turn) -> AsyncIterator[str]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        yield "x"

    scripted.plays = [counts]
    await start(SCRIPTED + "concurrency = 3\n")
    bus.deliver("turns.bot", body(*(turn(chatbot_id="bot") for _ in range(10))))
    await until(lambda: bus.subscriptions["turns.bot"].acked)
    assert (most, len(bus.finished())) == (3, 10)


@pytest.mark.parametrize("kind", ["echo", "eliza"])
async def test_the_loop_is_never_held_for_long(bus: FakeBus, start: Start, kind: str) -> None:
    """A large batch of long messages leaves the loop to others at least every 50 ms."""
    await start(f'[[chatbots]]\nid = "bot"\nname = "Bot"\nkind = "{kind}"\noptions = {{delay = 0}}\n')
    batch = body(*(turn("my mother and I " * 1_000, chatbot_id="bot") for _ in range(16)))  # 256 KiB
    held = 0.0
    bus.deliver("turns.bot", batch)
    last = time.thread_time()  # what other processes do meanwhile is not its doing
    while not bus.subscriptions["turns.bot"].acked:
        await asyncio.sleep(0)
        now = time.thread_time()
        held, last = max(held, now - last), now
    assert held < 0.05
