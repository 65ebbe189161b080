"""The kind `local` with real weights in a real process."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from chatbot_worker.chatbots.prompt import summing_up
from chatbot_worker.chatbots.protocol import LengthReached, Piece, Turn
from chatbot_worker.kinds import local, openai, retrieval
from chatbot_worker.kinds.local import Local, LocalOptions
from chatbot_worker.kinds.openai import OpenAI, OpenAIOptions
from chatbot_worker.kinds.retrieval import Retrieval, RetrievalOptions
from shared.contracts.turns import ContextMessage
from tests.support.waiting import until

ROOT = Path(__file__).parents[3]
LOADING = 60.0  # seconds that loading may take on a machine with better things to do
PARENT = """
import asyncio
from chatbot_worker.kinds import local

async def main():
    bot = local.make(local.LocalOptions())
    await bot.open()
    await bot.process.endpoint()
    print(bot.process.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""

pytestmark = [
    pytest.mark.skipif(local.lacking() is not None, reason=f"no local language model here: {local.lacking()}"),
    pytest.mark.timeout(240),
]


def turn(content: str) -> Turn:
    asked = ContextMessage(id=uuid4(), sender_type="user", sender_id="ada", content=content, unanswered=True)
    return Turn(uuid4(), uuid4(), "local", (asked,))


async def said(chatbot: Local | OpenAI | Retrieval, content: str) -> list[str]:
    return await texts(chatbot.reply(turn(content)))


async def texts(pieces: AsyncIterator[Piece]) -> list[str]:
    """The pieces of text; a reply that `max_tokens` has cut is a reply."""
    found: list[str] = []
    async with asyncio.timeout(LOADING):
        with suppress(LengthReached):
            async for piece in pieces:
                assert isinstance(piece, str)
                found.append(piece)
    return found


def ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
async def chatbot() -> AsyncIterator[Local]:
    """The built-in one, with short replies and a short memory."""
    chatbot = local.make(LocalOptions(max_tokens=24, context_tokens=256, temperature=0))
    await chatbot.open()
    yield chatbot
    pid = chatbot.process.pid
    await chatbot.close()
    if pid is not None:
        await until(lambda: ended(pid))


async def test_a_reply_streams_from_real_weights(chatbot: Local) -> None:
    """Piece by piece, in words."""
    pieces = await said(chatbot, "What is the capital of France?")
    assert len(pieces) > 3
    assert len("".join(pieces).split()) > 3


async def test_it_takes_notes(chatbot: Local) -> None:
    """Of what its window leaves out, when the worker asks; how good they are is up to the weights."""
    said_before = turn("My name is Ada, and I will be in Oslo in May.").context
    async with asyncio.timeout(LOADING):
        assert "".join(await texts(chatbot.speak(summing_up("Bob likes tea.", said_before)))).strip()


async def test_a_message_longer_than_the_context_is_answered(chatbot: Local) -> None:
    """Our estimate of tokens may be wrong, in Russian too; the server's count is not."""
    assert await said(chatbot, "Привет! " * 2_000)


async def test_process_that_ends_is_restarted(chatbot: Local) -> None:
    """The next reply waits for it, and comes."""
    await chatbot.process.endpoint()
    first = chatbot.process.pid
    assert first
    os.kill(first, signal.SIGKILL)
    await until(lambda: chatbot.process.pid != first, LOADING)
    assert await said(chatbot, "Hello!")
    assert chatbot.process.pid not in {None, first}


async def test_chatbots_of_one_file_share_one_process(tmp_path: Path) -> None:
    """A `local` and a `retrieval` chatbot with different contexts share a process until both are closed."""
    document = tmp_path / "capital.md"
    document.write_text("The capital of France is Paris.\n")
    model = {"kind": "local", "max_tokens": 8, "context_tokens": 512, "temperature": 0}
    talks = local.make(LocalOptions(max_tokens=8, context_tokens=256, temperature=0))
    answers = retrieval.make(RetrievalOptions(path=document, model=model))
    await talks.open()
    await answers.open()
    assert await said(talks, "Hello!")
    assert "capital.md" in "".join(await said(answers, "What is the capital of France?"))
    [served] = [each for each in psutil.Process().children() if "server.py" in " ".join(each.cmdline())]
    await talks.close()
    assert await said(answers, "What is the capital of France?")
    assert served.is_running()
    await answers.close()
    await until(lambda: ended(served.pid))


async def test_openai_kind_works_with_the_server_of_llama_cpp(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of llama.cpp is an ordinary endpoint, and an abandoned reply frees its slot."""
    server = local.make(LocalOptions(parallel=1, context_tokens=8_192, max_tokens=8))
    endpoint = await server.process.endpoint()
    monkeypatch.setenv("LLAMA_KEY", endpoint._headers["Authorization"].removeprefix("Bearer "))
    client = openai.make(OpenAIOptions(base_url=endpoint._base_url, key="LLAMA_KEY", extra={"ignore_eos": True}))
    pieces = client.reply(turn("Tell me a story."))
    assert await anext(aiter(pieces))  # of a story that takes the one place there is for minutes
    await pieces.aclose()  # type: ignore[attr-defined]
    assert await said(server, "Hello!")
    monkeypatch.setenv("LLAMA_KEY", "wrong")
    stranger = openai.make(OpenAIOptions(base_url=endpoint._base_url, key="LLAMA_KEY"))
    with pytest.raises(openai.ReplyError, match="status 401"):
        await said(stranger, "Hello!")
    await asyncio.gather(client.close(), stranger.close(), server.close())


async def test_its_process_ends_with_ours_even_when_that_is_killed() -> None:
    """No orphan keeps the memory."""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=PIPE, cwd=ROOT)
    assert parent.stdout
    try:
        while not (line := await parent.stdout.readline()).strip().isdigit():  # the log comes first
            assert line, "it ended"
        assert not ended(int(line))
        parent.kill()
        await until(lambda: ended(int(line)))
    finally:
        if parent.returncode is None:
            parent.kill()
        await parent.wait()


async def test_weights_that_are_none_fail_the_reply_and_not_the_worker(tmp_path: Path) -> None:
    """It begins like a GGUF file, and that is all."""
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + b"\0" * 100)
    chatbot = local.make(LocalOptions(model=path))
    with pytest.raises(openai.ReplyError, match="does not start"):
        await said(chatbot, "Hello!")
    await chatbot.close()
