"""A process: one event loop, its services, one listener; start in order, stop in reverse, in under 10 s.

Signals are installed here and nowhere else. SIGTERM and SIGINT ask for the graceful stop (contract P8);
a second one ends the process at once. SIGHUP has the configuration read again; where there is none to read,
or when the terminal has gone (which is told by the same signal), it asks for the stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp

from shared.http.http_protocol import IDLE_WITHIN, BoundedHttpProtocol
from shared.http.websocket_protocol import BoundedWebSocketProtocol
from shared.runtime.service import Service, close_all
from shared.runtime.settings import config_error
from shared.runtime.stop_watchdog import StopWatchdog

logger = structlog.get_logger(__name__)

READY_POLL = 0.02  # seconds between looks at whether everything is ready
DRAIN_DEADLINE = 5.0  # seconds for all `drain`s together
CLOSE_DEADLINE = 2  # seconds for open requests after that
FRAME_MAX = 256 * 1024  # bytes of one WebSocket frame (contract §3)
GC_THRESHOLDS = (50_000, 20, 100)  # collecting after 700 new objects cost 40 % of the persistence worker's CPU
OPEN_FILES = 65_536  # connections and other files of one process; many systems begin with 1,024
BACKLOG = 2048  # connections that the kernel holds while a storm is absorbed
SEND_BUFFER = 192 * 1024  # bytes; Linux takes twice as many of a connection, and up to 4 MiB where it is not told


@dataclass(frozen=True, slots=True)
class Assembly:
    """What a process runs: its services, entered in order, and the one app that it listens with."""

    services: Sequence[Service]
    app: ASGIApp


Assemble = Callable[[AsyncExitStack], Awaitable[Assembly]]


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the process decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(assemble: Assemble, *, host: str, port: int, announce: Callable[[str], None] | None = None) -> None:
    """Run until a signal comes, or end with exit code 1 when a background task dies.

    `assemble` builds the services and enters their stores and bus on the given stack, in order;
    `announce` gets the address once everything listens and is ready.
    """
    _allow_open_files()
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415 - not on every platform

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        clean = runner.run(_main(assemble, host, port, announce))
    if not clean:
        raise SystemExit(1)


async def _main(assemble: Assemble, host: str, port: int, announce: Callable[[str], None] | None) -> bool:
    stop = _stop_on_signals()
    listener = _bind(host, port)
    stack = AsyncExitStack()
    stop_watchdog = StopWatchdog()
    try:
        assembly = await assemble(stack)
        _reload_on_signal(stop, [service.reload for service in assembly.services if service.reload])
        failures = [(await stack.enter_async_context(service.lifespan())).failed for service in assembly.services]
        _spare_the_collector()
        server = _Server(_config(assembly.app))
        serving: asyncio.Future[None] = asyncio.create_task(server.serve(sockets=[listener]), name="listener")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn offers no event for it
            await asyncio.sleep(0.005)
        address = f"http://{host}:{listener.getsockname()[1]}" if not serving.done() else ""
        logger.info("listening", address=address)
        if announce:
            telling = asyncio.create_task(_announce(announce, address, assembly.services), name="announcement")
            stack.callback(telling.cancel)
        ends: list[asyncio.Future[Any]] = [serving, stopping, *failures]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        clean = stop.is_set()
        stop_watchdog.arm()
        logger.info("stopping", clean=clean)
        await _drain(assembly.services)
        server.should_exit = True
        await serving
        return clean
    finally:
        stop_watchdog.arm()  # the start may have failed
        await close_all(stack)
        listener.close()
        logger.info("stopped")


def _allow_open_files() -> None:
    """Take as many files as the system lets us have: each connection is one, and without any nobody new comes in."""
    with contextlib.suppress(ImportError):
        import resource  # noqa: PLC0415 - not on every platform

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _spare_the_collector() -> None:
    """What is there after the start stays for good: never walk it again, and look less often at what is young.

    Not even once to find what of it is garbage: that takes 0.1 s of CPU, and there is next to none.
    """
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


async def _announce(announce: Callable[[str], None], address: str, services: Sequence[Service]) -> None:
    while any(service.missing() for service in services):  # noqa: ASYNC110 - readiness is asked for, not told
        await asyncio.sleep(READY_POLL)
    announce(address)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()

    def handle() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, handle)
    return stop


def _reload_on_signal(stop: asyncio.Event, hooks: Sequence[Callable[[], None]]) -> None:
    had_terminal = _on_terminal()

    def handle() -> None:
        if not hooks or (had_terminal and not _on_terminal()):
            stop.set()
            return
        logger.info("reloading")
        for hook in hooks:
            hook()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, handle)


def _on_terminal() -> bool:
    """Whether a terminal is behind the standard input; one that hung up is none any more."""
    return os.isatty(0)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)  # of what it accepts: who does not read costs
    try:
        listener.bind((host, port))
    except socket.gaierror as error:
        listener.close()
        raise config_error("HOST", f"{host}: {error.strerror}") from None
    except OSError as error:
        listener.close()
        logger.error("cannot listen", host=host, port=port, reason=error.strerror)  # noqa: TRY400
        raise SystemExit(1) from None
    listener.setblocking(False)
    return listener


def _config(app: ASGIApp) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # below it strangers write a line a bad request
    return uvicorn.Config(
        app,
        loop="none",
        http=BoundedHttpProtocol,
        ws=BoundedWebSocketProtocol,
        ws_max_size=FRAME_MAX,
        ws_per_message_deflate=False,  # doubles the memory of an idle socket
        ws_ping_interval=None,  # Engine.IO pings by itself
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=IDLE_WITHIN,
        timeout_graceful_shutdown=CLOSE_DEADLINE,
    )


async def _drain(services: Sequence[Service]) -> None:
    drains = [service.drain() for service in services if service.drain]
    try:
        async with asyncio.timeout(DRAIN_DEADLINE):
            for outcome in await asyncio.gather(*drains, return_exceptions=True):
                if isinstance(outcome, Exception):
                    logger.error("a drain failed", exc_info=outcome)
    except TimeoutError:
        logger.warning("drain ran out of time", seconds=DRAIN_DEADLINE)
