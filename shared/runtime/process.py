"""A process: one event loop with its services and one listener, started in order and stopped in reverse within 10 s.

Only this module installs signal handlers. SIGTERM and SIGINT start a graceful stop (contract P8); a second one ends the
process immediately. SIGHUP reloads the configuration. If no service has any to reload, or if the terminal was closed,
which sends the same signal, SIGHUP starts a graceful stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import socket
import sys
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
from shared.runtime.settings import PREFIX, config_error
from shared.runtime.stop_watchdog import StopWatchdog
from shared.runtime.unknown_settings import warn_of_unknown_settings

logger = structlog.get_logger(__name__)

READY_POLL = 0.02  # seconds between checks of readiness
DRAIN_DEADLINE = 5.0  # seconds for the `drain` of all services together
CLOSE_DEADLINE = 2  # seconds for open requests after the drain
FRAME_MAX = 256 * 1024  # bytes of one WebSocket frame (contract.md §3.1)
GC_THRESHOLDS = (50_000, 20, 100)  # CPython's default of 700 took 40 % of the persistence worker's CPU time
OPEN_FILES = 65_536  # connections and other files of a process; the soft limit is often 1,024
BACKLOG = 2048  # connections queued in the kernel while many clients reconnect
SEND_BUFFER = 192 * 1024  # bytes; Linux reserves twice that per connection, and up to 4 MiB without a setting


@dataclass(frozen=True, slots=True)
class Assembly:
    """The services of a process, in the order of their start, and the app that it serves."""

    services: Sequence[Service]
    app: ASGIApp


Assemble = Callable[[AsyncExitStack], Awaitable[Assembly]]


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers; the process decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(assemble: Assemble, *, host: str, port: int, announce: Callable[[str], None] | None = None) -> None:
    """Run until a signal is received, or exit with code 1 when a background task fails.

    `assemble` builds the services and enters their stores and bus on the given stack, in order. `announce` is called
    with the address when the process listens and is ready.
    """
    _allow_open_files()
    warn_of_unknown_settings()
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
        _tune_garbage_collection()
        server = _Server(_config(assembly.app))
        serving: asyncio.Future[None] = asyncio.create_task(server.serve(sockets=[listener]), name="listener")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn offers no event for it
            await asyncio.sleep(0.005)
        address = _url(host, listener.getsockname()[1]) if not serving.done() else ""
        logger.info("server.started", address=address)
        if announce:
            announcing = asyncio.create_task(_announce(announce, address, assembly.services), name="announcement")
            stack.callback(announcing.cancel)
        ends: list[asyncio.Future[Any]] = [serving, stopping, *failures]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        clean = stop.is_set()
        stop_watchdog.arm()
        logger.info("stop.started", clean=clean)
        await _drain(assembly.services)
        server.should_exit = True
        await serving
        return clean
    finally:
        stop_watchdog.arm()  # also after a failed start
        await close_all(stack)
        listener.close()
        logger.info("process.stopped")


def _allow_open_files() -> None:
    """Raise the soft limit of open files: each connection uses one, and at the limit none is accepted."""
    with contextlib.suppress(ImportError):
        import resource  # noqa: PLC0415 - not on every platform

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _tune_garbage_collection() -> None:
    """Exclude the objects of the start from garbage collection, and collect less often.

    No collection precedes this: it takes 0.1 s of CPU time and finds almost no garbage.
    """
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


async def _announce(announce: Callable[[str], None], address: str, services: Sequence[Service]) -> None:
    while any(service.missing() for service in services):  # noqa: ASYNC110 - readiness has no event
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
        logger.info("reload.requested")
        for hook in hooks:
            hook()

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, handle)


def _on_terminal() -> bool:
    """Return whether standard input is a terminal that has not been closed."""
    return os.isatty(0)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _family(host: str) -> socket.AddressFamily:
    """Return IPv6 for an address or a name that has no IPv4 address."""
    try:
        found = {family for family, *_ in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError as error:
        raise config_error("HOST", f"{host}: {error.strerror}") from None
    return socket.AF_INET if socket.AF_INET in found else socket.AF_INET6


def _bind(host: str, port: int) -> socket.socket:
    listener = socket.socket(_family(host), socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(
        socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER
    )  # inherited by accepted connections, so that clients that do not read use little memory
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        hint = f"{port} on {host}: {error.strerror}"
        if error.errno == errno.EADDRINUSE:
            hint += ". Stop the process that listens there, or choose another port (0: a free one)"
        print(f"{PREFIX}PORT: {hint}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
    listener.setblocking(False)
    return listener


def _config(app: ASGIApp) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # at lower levels each invalid request writes a line
    return uvicorn.Config(
        app,
        loop="none",
        http=BoundedHttpProtocol,
        ws=BoundedWebSocketProtocol,
        ws_max_size=FRAME_MAX,
        ws_per_message_deflate=False,  # doubles the memory of an idle socket
        ws_ping_interval=None,  # Engine.IO has its own pings
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
                    logger.error("drain.failed", exc_info=outcome)
    except TimeoutError:
        logger.warning("drain.timed_out", seconds=DRAIN_DEADLINE)
