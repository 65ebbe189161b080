"""Clients that never read, on a real process: their cost, their end, and their effect on other clients."""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from statistics import median
from typing import Any

import httpx2
import psutil
import pytest
import websockets

from tests.integration.overload.load import MIB
from tests.integration.overload.wire import Wire
from tests.support.client import PATIENCE, Account, new_account
from tests.support.stack import EmbeddedStack
from tests.support.waiting import pause, until

pytestmark = pytest.mark.overload

READ_WITHIN = 6  # seconds
# Of them, so that what each costs shows beyond noise; the few take what answering readers before them has left free.
FEW, MANY = 60, 120
WARM = 12
SLOW = 60  # slow clients during the measurement
WINDOWS = 7  # with and without them
WINDOW, CALM = 200, 40  # messages measured, and before that
IDLE = 0.1  # of a core
CUT = 'connections_aborted_total{reason="slow"}'
CONTENT = "x" * 12_000
MESSAGES = 45  # a page of them is as large as a page may be: 512 KiB


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[EmbeddedStack]:
    stack = EmbeddedStack(tmp_path, {"LIMITS": "off", "LOG_LEVEL": "warning", "READ_WITHIN": str(READ_WITHIN)})
    try:
        yield await stack.start()
        await stack.stop()
    finally:
        stack.close()


class Memory:
    """The resident memory of the process, in MiB; `peak` is the highest seen."""

    def __init__(self, stack: EmbeddedStack) -> None:
        child = stack.parts["embedded"].child
        assert child
        self._process = psutil.Process(child.pid)
        self.peak = 0.0

    def look(self) -> None:
        self.peak = max(self.peak, float(self._process.memory_info().rss) / MIB)

    async def watch(self) -> None:
        while True:
            self.look()
            await pause(0.01, "the sampling interval")


async def metric(stack: EmbeddedStack, name: str) -> float:
    async with httpx2.AsyncClient(base_url=stack.auth_url, timeout=PATIENCE) as http:
        text = (await http.get("/metrics")).text
    found = re.search(rf"^backchat_gateway_{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def cut_off(stack: EmbeddedStack, count: float, within: float) -> None:
    """Wait until the process has cut off `count` clients."""

    async def counted() -> bool:
        return await metric(stack, CUT) >= count

    await until(counted, within, every=0.05)


async def long_session(stack: EmbeddedStack, account: Account, stack_of: AsyncExitStack) -> str:
    """A session whose pages are as large as they may be."""
    wire = await Wire.open(stack.auth_url, account.token)
    stack_of.push_async_callback(wire.close)
    started: dict[str, Any] = {}

    async def answered() -> bool:
        started.update(await wire.call("start_chat", {"reply_policy": "silent", "client_request_id": "long"}))
        return bool(started["ok"])

    await until(answered, PATIENCE)
    session = str(started["session"]["id"])
    for _ in range(MESSAGES):
        assert (await wire.call("send_message", {"session_id": session, "content": CONTENT}))["ok"]
    return session


async def opened(
    stack: EmbeddedStack, account: Account, count: int, leaving: AsyncExitStack, receive_buffer: int | None = 4_096
) -> list[Wire]:
    """So many sockets, with small kernel buffers."""
    wires = []
    for _ in range(count):
        wires.append(await Wire.open(stack.auth_url, account.token, receive_buffer=receive_buffer))
        leaving.push_async_callback(wires[-1].close)
    return wires


async def ask_on(wire: Wire, page: dict[str, Any]) -> None:
    """For page after page, until the server has cut the connection."""
    with suppress(OSError, websockets.ConnectionClosed):
        while True:
            await wire.emit("get_messages", page, lambda _ack: None)
            await pause(0.1, "the interval of requests")


@pytest.mark.timeout(500)
@pytest.mark.parametrize("answers_pings", [True, False])
async def test_client_that_never_reads_costs_little_and_is_cut_off(
    stack: EmbeddedStack, *, answers_pings: bool
) -> None:
    """It requests many distinct pages and reads none: less than 1 MiB of memory per client at the peak."""
    account = await new_account(stack.auth_url)
    async with AsyncExitStack() as leaving:
        session = await long_session(stack, account, leaving)
        page = {"session_id": session, "limit": 200}
        memory = Memory(stack)
        watching = asyncio.create_task(memory.watch())
        leaving.callback(watching.cancel)
        async with AsyncExitStack() as round_:
            reading = await opened(stack, account, FEW, round_)
            for _ in range(4):  # what answering so many costs while they still read is no news
                await asyncio.gather(*(wire.call("get_messages", page) for wire in reading))
        warm = memory.peak
        peaks = {}
        for count in (FEW, MANY):
            crowd = await opened(stack, account, count, leaving)  # new ones: the kernel holds little for them yet
            cut = await metric(stack, CUT)
            async with AsyncExitStack() as round_:
                for wire in crowd:
                    await wire.deaf(answers_pings=answers_pings)
                    asking = asyncio.create_task(ask_on(wire, page))
                    round_.callback(asking.cancel)
                await cut_off(stack, cut + count, within=200)  # the machine may be busy
            peaks[count] = memory.peak
        each = (peaks[MANY] - peaks[FEW]) / (MANY - FEW)
        print(f"MiB: {warm:.0f} warm, {peaks}, {each:.2f} for each more")  # noqa: T201
        assert each < 1.0, (warm, peaks)
        assert (peaks[MANY] - warm) / MANY < 1.0, (warm, peaks)

        async def closed() -> bool:
            return await metric(stack, "connections") <= 1

        await until(closed, PATIENCE, every=0.05)


@pytest.mark.timeout(180)
async def test_client_that_stops_reading_is_cut_off(stack: EmbeddedStack) -> None:
    """By then the kernels of both sides take megabytes for it: next to nothing waits in the process, and it is cut."""
    account = await new_account(stack.auth_url)
    async with AsyncExitStack() as leaving:
        session = await long_session(stack, account, leaving)
        page = {"session_id": session, "limit": 200}
        talking = await Wire.open(stack.auth_url, account.token)
        leaving.push_async_callback(talking.close)
        crowd = await opened(stack, account, WARM, leaving, receive_buffer=None)
        for wire in crowd:
            assert (await wire.call("join_chat", {"session_id": session, "limit": 1}))["ok"]
        for _ in range(15):
            for wire in crowd:
                await wire.call("get_messages", page)
        memory = Memory(stack)
        memory.look()
        warm, cut = memory.peak, await metric(stack, CUT)
        for wire in crowd:
            await wire.deaf(answers_pings=True)
            await wire.emit("get_messages", page, lambda _ack: None)
        begun = time.monotonic()

        async def talk() -> None:
            while True:
                assert (await talking.call("send_message", {"session_id": session, "content": "x"}))["ok"]
                memory.look()
                await pause(0.2, "the rate of messages")

        async with asyncio.TaskGroup() as load:
            talk_task = load.create_task(talk())
            await cut_off(stack, cut + WARM, within=60)
            talk_task.cancel()
        print(f"cut within {time.monotonic() - begun:.0f} s, {memory.peak - warm:.1f} MiB")  # noqa: T201
        assert (memory.peak - warm) / WARM < 1.0


@pytest.mark.timeout(180)
async def test_polling_client_that_never_reads_is_cut_off(stack: EmbeddedStack) -> None:
    """Long-polling: the listener holds its response and would never drop it."""
    account = await new_account(stack.auth_url)
    async with AsyncExitStack() as leaving:
        session = await long_session(stack, account, leaving)
        http = await leaving.enter_async_context(httpx2.AsyncClient(base_url=stack.auth_url, timeout=PATIENCE))
        path = "/socket.io/?EIO=4&transport=polling"
        sid = re.search(r'"sid":"([^"]+)"', (await http.get(path)).text)
        assert sid
        path += f"&sid={sid[1]}"
        assert (await http.post(path, content=f'40{{"token":"{account.token}"}}')).status_code == 200
        assert "ready" in (await http.get(path)).text + (await http.get(path)).text
        await http.post(path, content=f'421["get_messages",{{"session_id":"{session}","limit":200}}]')
        poll = socket.socket()
        leaving.callback(poll.close)
        poll.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        poll.connect(("127.0.0.1", stack.parts["embedded"].port))
        poll.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        child = stack.parts["embedded"].child
        assert child
        mine = poll.getsockname()

        def held() -> bool:
            """Whether the process still has the connection."""
            return any(c.raddr == mine for c in psutil.Process(child.pid).net_connections("tcp") if c.raddr)

        await until(held, PATIENCE)
        await until(lambda: not held(), 60, every=0.1)


@pytest.mark.timeout(300)
async def test_other_clients_are_not_delayed_by_slow_ones(stack: EmbeddedStack) -> None:
    """The p99 of acks with and without slow clients, alternating; the median window of each."""
    account, other = [await new_account(stack.auth_url) for _ in range(2)]
    async with AsyncExitStack() as leaving:
        session = await long_session(stack, account, leaving)
        good = await Wire.open(stack.auth_url, other.token)
        leaving.push_async_callback(good.close)
        mine = (await good.call("start_chat", {"reply_policy": "silent"}))["session"]["id"]
        alone, beside = [], []
        for _ in range(WINDOWS):
            alone.append(await p99(stack, good, mine))
            async with AsyncExitStack() as round_:
                for wire in await opened(stack, account, SLOW, round_):
                    assert (await wire.call("join_chat", {"session_id": session, "limit": 1}))["ok"]
                    await wire.deaf(answers_pings=True)
                    await wire.emit("get_messages", {"session_id": session, "limit": 200}, lambda _ack: None)
                beside.append(await p99(stack, good, mine))
        ratio = median(beside) / median(alone)
        print(f"ms: {[[round(1000 * each, 1) for each in times] for times in (alone, beside)]}, {ratio:.2f}")  # noqa: T201
        assert ratio <= 1.5


async def p99(stack: EmbeddedStack, wire: Wire, session: str) -> float:
    """Of one window, in seconds. Pages are made and connections are ended before it: that is no matter of reading."""
    child = stack.parts["embedded"].child
    assert child
    process = psutil.Process(child.pid)

    async def idle() -> bool:
        return await asyncio.to_thread(process.cpu_percent, 0.2) <= 100 * IDLE

    await until(idle, PATIENCE)
    await latencies(wire, session, CALM)
    return sorted(await latencies(wire, session, WINDOW))[int(WINDOW * 0.99)]


async def latencies(wire: Wire, session: str, count: int, interval: float = 0.005) -> list[float]:
    """Seconds to the ack of consecutive messages, with a pause in between."""
    found = []
    for _ in range(count):
        begun = time.perf_counter()
        payload = {"session_id": session, "content": "quick", "client_message_id": secrets.token_hex(8)}
        assert (await wire.call("send_message", payload))["ok"]
        found.append(time.perf_counter() - begun)
        await pause(interval, "the rate of messages")
    return found
