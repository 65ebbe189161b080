"""Manages the process of a local language model: starts it, restarts it when it ends, stops it with the worker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
from pydantic import SecretStr

from chatbot_worker.kinds.providers.completions import Completions
from chatbot_worker.kinds.wire.failures import misconfigured
from shared.backoff import Backoff

logger = structlog.get_logger(__name__)

SCRIPT = Path(__file__).with_name("server.py")
LOAD_TIMEOUT = 120.0  # seconds; gigabytes from a slow disk
PAUSE_MIN, PAUSE_MAX = 0.2, 30.0  # seconds before it is started again
STEADY = 10.0  # seconds of running after which the restart delay starts again at its minimum
END_TIMEOUT = 0.3  # seconds until it is killed; ending takes milliseconds, and the worker waits half a second


class DidNotStart(Exception):
    """The process ended or reported an error before it listened."""


@dataclass(frozen=True, slots=True)
class Serving:
    """The configuration of a process.

    More threads than free cores slow llama.cpp down: on a busy machine of two cores, two threads are 20 times slower
    than one.

    Attributes:
        model: path of a GGUF file.
        context: tokens of one prompt and its reply.
        parallel: replies at the same time.
        threads: that compute.
    """

    model: str
    context: int
    parallel: int
    threads: int

    def together(self, other: Serving) -> Serving:
        """Return a configuration that is sufficient for both."""
        return Serving(
            self.model,
            max(self.context, other.context),
            max(self.parallel, other.parallel),
            max(self.threads, other.threads),
        )


class ModelProcess:
    """Keeps one process running while a holder has it open."""

    def __init__(self, serving: Serving) -> None:
        self.serving = serving
        self._holders: set[object] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._endpoint: asyncio.Future[Completions | None] | None = (
            None  # of the running process; none: it cannot start
        )
        self.pid: int | None = None  # of the running process

    @property
    def held(self) -> bool:
        """Whether a holder has it open."""
        return bool(self._holders)

    def open(self, holder: object) -> None:
        """Start the process in the background, unless it runs. It runs until the last holder closes it."""
        self._holders.add(holder)
        if self._keeper is None:
            self._endpoint = asyncio.get_running_loop().create_future()
            self._keeper = asyncio.create_task(self._keep(), name="local language model")

    async def close(self, holder: object) -> None:
        """Stop the process, unless another holder has it open."""
        self._holders.discard(holder)
        if self._holders:
            return
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait({keeper})
        self._renew()

    async def endpoint(self) -> Completions:
        """Return a client of the process. Waits while it starts; `open` comes first.

        Raises:
            ReplyError: it does not start. The start is retried in the background, with growing delays.
        """
        while True:
            assert self._endpoint is not None
            endpoint = self._endpoint
            await asyncio.wait({endpoint})
            if endpoint.cancelled():  # the process ended: wait for the next one
                continue
            if (found := endpoint.result()) is None:
                raise misconfigured("the local language model does not start")
            return found

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff(PAUSE_MIN, PAUSE_MAX, jitter=0)
        while True:
            began = loop.time()
            try:
                await self._run()
                logger.warning("local_model.ended", seconds=round(loop.time() - began, 1))
            except (DidNotStart, OSError, TimeoutError) as error:
                logger.error("local_model.start_failed", reason=str(error) or "it took too long")  # noqa: TRY400
                assert self._endpoint is not None
                self._endpoint.set_result(None)
            if loop.time() - began > STEADY:
                backoff.reset()
            await asyncio.sleep(backoff.next())
            self._renew()

    async def _run(self) -> None:
        """Run one process until it ends."""
        command = [sys.executable, "-P", str(SCRIPT)]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, start_new_session=True
        )
        try:
            key = secrets.token_urlsafe(24)  # other users of this machine reach loopback too
            async with asyncio.timeout(LOAD_TIMEOUT):
                address = await self._handshake(process, key)
            endpoint = Completions(f"{address}/v1", key=SecretStr(key), direct=True)
            try:
                self._publish(endpoint, process.pid)
                await process.wait()
            finally:
                self._renew()
                await endpoint.close()
        finally:
            await _end(process)

    async def _handshake(self, process: Process, key: str) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({**asdict(self.serving), "key": key}).encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            await process.stdin.drain()
        line = await process.stdout.readline()
        if not line:
            raise DidNotStart(f"it ended with code {await process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise DidNotStart(answer["error"])
        return str(answer["address"])

    def _publish(self, endpoint: Completions, pid: int) -> None:
        assert self._endpoint is not None
        self.pid = pid
        self._endpoint.set_result(endpoint)
        logger.info("local_model.started", model=Path(self.serving.model).name, pid=pid)

    def _renew(self) -> None:
        """Let further calls of `endpoint` wait for the next process."""
        self.pid = None
        if self._endpoint is not None and (self._endpoint.done() or self._keeper is None):
            previous, self._endpoint = self._endpoint, asyncio.get_running_loop().create_future()
            previous.cancel()


async def _end(process: Process) -> None:
    """Stop a process by closing its standard input; kill it if it does not end in time."""
    if process.returncode is not None:
        return
    assert process.stdin is not None
    process.stdin.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(END_TIMEOUT):
            await process.wait()
            return
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
