"""The catalogue's file changes while turns run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatbot_worker.chatbots.protocol import Turn
from tests.integration.chatbot_worker.conftest import Start, body, turn
from tests.integration.chatbot_worker.fake_bus import FakeBus
from tests.integration.chatbot_worker.scripted import SCRIPTED, Scripted, hang
from tests.support.waiting import until

ECHO = '[[chatbots]]\nid = "bot"\nname = "Echo"\nkind = "echo"\noptions = {delay = 0}\n'
OTHER = '[[chatbots]]\nid = "other"\nname = "Other"\nkind = "echo"\noptions = {delay = 0}\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where `start` keeps the catalogue."""
    return tmp_path / "chatbots.toml"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatbot_worker.roster.reloading.POLL_INTERVAL", 0.02)
    monkeypatch.setattr("chatbot_worker.roster.announcing.WATCH_INTERVAL", 0.01)


def put(path: Path, text: str) -> None:
    path.write_text(text)


def remove(path: Path) -> None:
    path.unlink()


async def answered(bus: FakeBus, queue: str) -> str:
    before = len(bus.finished())
    bus.deliver(queue, body(turn("said", chatbot_id=queue.removeprefix("turns."))))
    await until(lambda: len(bus.finished()) > before)
    return bus.finished()[-1].content


async def test_a_chatbot_may_change_come_and_go(bus: FakeBus, start: Start, scripted: Scripted, path: Path) -> None:
    """New turns follow the file, the running one ends as it began; queues and announcements follow too."""
    go = asyncio.Event()

    async def waits(_turn: Turn) -> AsyncIterator[str]:
        yield "as it "
        await go.wait()
        yield "began"

    scripted.plays = [waits]
    service = await start(SCRIPTED + OTHER)
    bus.deliver("turns.bot", body(turn(chatbot_id="bot")))
    await until(bus.deltas)
    put(path, ECHO + OTHER.replace("other", "third"))
    await until(lambda: len(bus.announced()) == 2)
    assert [card.id for card in bus.announced()[1].chatbots] == ["bot", "third"]
    assert bus.announced()[1].modified_at > bus.announced()[0].modified_at
    assert await answered(bus, "turns.bot") == "said"
    assert await answered(bus, "turns.third") == "said"
    assert "dead.turns.third" in {queue.name for queue in bus.declared}
    await until(lambda: bus.subscriptions["turns.other"].closed)
    assert scripted.closed == 0
    go.set()
    await until(lambda: bus.finished()[-1].content == "as it began")
    assert service.missing() == []


async def test_a_chatbot_that_goes_ends_what_it_began(
    bus: FakeBus, start: Start, scripted: Scripted, path: Path
) -> None:
    """Waiting turns are requeued for other workers; running turns are finished and acked."""
    scripted.plays = [hang]
    await start(SCRIPTED + "concurrency = 1\n" + OTHER)
    running, waiting = turn(chatbot_id="bot"), turn(chatbot_id="bot")
    first = bus.deliver("turns.bot", body(running))
    await until(bus.deltas)
    second = bus.deliver("turns.bot", body(waiting))
    await until(lambda: len(bus.typing()) == 2)
    put(path, OTHER)
    await until(lambda: bus.subscriptions["turns.bot"].acked == [second])
    assert not bus.subscriptions["turns.bot"].closed
    bus.stop(running)
    await until(lambda: bus.subscriptions["turns.bot"].closed)
    assert bus.subscriptions["turns.bot"].acked == [second, first]
    assert [(finish.message_id, finish.content) for finish in bus.finished()] == [(running.message_id, "so far")]


async def test_a_wrong_file_changes_nothing(
    bus: FakeBus, start: Start, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An incomplete, missing or invalid file is logged with the position, and the chatbots stay."""
    service = await start(ECHO)
    await until(bus.announced)
    put(path, ECHO + 'colour = "red"\n')
    said = ""

    def logged(text: str) -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return text in said

    await until(lambda: logged("colour"))
    remove(path)
    assert service.reload is not None
    service.reload()
    await until(lambda: logged("No such file"))
    assert 'chatbot 1 "bot" (line 6): colour' in said
    assert await answered(bus, "turns.bot") == "said"
    assert len(bus.announced()) == 1


async def test_reload_request_reads_an_older_file(
    bus: FakeBus, start: Start, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGHUP need not wait for a look at the file; a backup put in place is the newest all the same."""
    monkeypatch.setattr("chatbot_worker.roster.reloading.POLL_INTERVAL", 60)
    service = await start(ECHO)
    await until(bus.announced)
    put(path, ECHO.replace("Echo", "Parrot"))
    os.utime(path, (1_000_000_000, 1_000_000_000))
    assert service.reload is not None
    service.reload()
    await until(lambda: len(bus.announced()) == 2)
    assert [card.name for card in bus.announced()[1].chatbots] == ["Parrot"]
    assert bus.announced()[1].modified_at > bus.announced()[0].modified_at


async def test_what_a_chatbot_holds_is_opened_and_closed_once(
    bus: FakeBus, start: Start, scripted: Scripted, path: Path
) -> None:
    """A chatbot is opened when it enters the catalogue and closed after its last turn; an unchanged one stays open."""
    scripted.plays = [hang]
    await start(SCRIPTED)
    await until(lambda: scripted.life == ["open"])
    running = turn(chatbot_id="bot")
    bus.deliver("turns.bot", body(running))
    await until(bus.deltas)
    put(path, SCRIPTED + OTHER)
    await until(lambda: "turns.other" in bus.subscriptions)
    assert scripted.life == ["open"]
    put(path, SCRIPTED + "concurrency = 9\n")
    await until(lambda: scripted.life == ["open", "open"])
    assert not bus.finished()
    bus.stop(running)
    await until(lambda: scripted.life == ["open", "open", "close"])
