"""One run: start the system and the clients, inject faults, drain, read the histories, check them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.chaos import artifacts, histories
from tests.chaos.checker import History
from tests.chaos.client_process import ClientProcess, reached, register_users, total
from tests.chaos.composed import ComposedStack, ContainerInjector, ContainerSupervisor
from tests.chaos.faults import plan
from tests.chaos.injection import InjectedFault, Injector
from tests.chaos.job import Job, User
from tests.chaos.operation_log import OperationLog, read
from tests.chaos.options import Options
from tests.chaos.stack import BreakableStack, DistributedChaosStack, EmbeddedChaosStack
from tests.chaos.stores import Stores
from tests.chaos.supervisor import Supervisor
from tests.support.client import Account, new_account
from tests.support.compose import Composition
from tests.support.waiting import pause

CLIENTS_PER_PROCESS = 150
START_PATIENCE = 60.0  # seconds until every user has a session
WARM = 3.0  # seconds without faults before the first fault and after the last
READY_PATIENCE = 60.0  # seconds until every process is ready after the last fault
DRAIN_PATIENCE = 60.0  # seconds until every acked message was received as stored and answered
PROBE = 0.5  # seconds between two logins of the login probe

AnyStack = BreakableStack | ComposedStack
System = tuple[AnyStack, Supervisor | ContainerSupervisor, Injector | ContainerInjector, dict[str, str]]


@dataclass(slots=True)
class Outcome:
    """Result of a run."""

    verdict: artifacts.Verdict
    faults: list[InjectedFault]
    versions: dict[str, str]
    crashes: list[str]
    slow_stops: list[str]
    restarts: int
    seconds: float  # from the first fault to the end of the drain
    drained: bool
    directory: Path

    @property
    def clean(self) -> bool:
        """Whether no anomaly, crash or slow stop was found, and all messages reached their final state."""
        return self.verdict.findings.clean and not self.crashes and not self.slow_stops and self.drained


def say(line: str) -> None:
    """Print a line with the time to standard error."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")


async def run(options: Options) -> Outcome:
    """Execute one run. The caller removes the directory with operation logs, histories and process logs."""
    directory = Path(tempfile.mkdtemp(prefix="bc-chaos-"))
    (directory / artifacts.OPERATION_LOGS).mkdir()
    (directory / "logs").mkdir()
    async with AsyncExitStack() as after:
        say(f"seed {options.seed}: starting everything in {directory}")
        stack, supervisor, injector, versions = await _system(options, directory, after)
        users = await register_users(stack.auth_url, options.clients)
        prober = await new_account(stack.auth_url)
        processes = await after.enter_async_context(_chatting(options, stack, users, directory))
        await after.enter_async_context(_background(supervisor.watch()))
        await after.enter_async_context(
            _background(_probe(stack.auth_url, prober, directory / artifacts.OPERATION_LOGS))
        )
        began = time.monotonic()
        faults = await _inject_faults(options, injector, processes, directory)
        ready = await supervisor.all_ready(READY_PATIENCE)
        drained = await _drain(processes)
        seconds = time.monotonic() - began
        artifacts.write_histories(directory, await _read_back(directory / artifacts.OPERATION_LOGS, users, stack))
        for process in processes:
            await process.end()
    say("checking")
    verdict = await asyncio.to_thread(artifacts.compare, directory)
    return Outcome(
        verdict=verdict,
        faults=faults,
        versions=versions,
        crashes=supervisor.crashes,
        slow_stops=supervisor.slow_stops,
        restarts=supervisor.restarts,
        seconds=seconds,
        drained=ready and drained,
        directory=directory,
    )


async def _system(options: Options, directory: Path, after: AsyncExitStack) -> System:
    """Start the system under test; returns it with its supervisor, its injector and the versions of its servers."""
    if options.profile == "composed":
        composition = Composition(options.project)
        supervisor = ContainerSupervisor(composition)
        versions = await asyncio.to_thread(composition.versions)
        return ComposedStack(composition, options.url), supervisor, ContainerInjector(composition, supervisor), versions
    stores = await _stores(options, after)
    stack = DistributedChaosStack(directory, stores) if stores else EmbeddedChaosStack(directory)
    after.push_async_callback(stack.shut)
    await stack.open()
    versions = {}
    if stores:
        await asyncio.to_thread(stores.flush)
        versions = await asyncio.to_thread(stores.versions)
    supervisor = Supervisor(stack)
    return stack, supervisor, Injector(stack, stores, supervisor), versions


async def _stores(options: Options, after: AsyncExitStack) -> Stores | None:
    """Start the servers of the profile; None for the embedded system."""
    if options.profile == "embedded":
        return None
    stores = Stores(3 if options.profile == "cluster" else 1)
    after.push_async_callback(asyncio.to_thread, stores.stop)
    await asyncio.to_thread(stores.start)
    return stores


@contextlib.asynccontextmanager
async def _chatting(
    options: Options, stack: AnyStack, users: Sequence[User], directory: Path
) -> AsyncIterator[list[ClientProcess]]:
    pause = 1.6 * options.clients / options.rate  # a burst has 1.6 messages on average
    processes = []
    for start in range(0, len(users), CLIENTS_PER_PROCESS):
        job = Job(
            users=list(users[start : start + CLIENTS_PER_PROCESS]),
            gateways=stack.gateways,
            directory=directory / artifacts.OPERATION_LOGS,
            seed=options.seed,
            pause=pause,
        )
        processes.append(ClientProcess(job, directory / "logs" / f"clients-{start}.log"))
    for process in processes:
        await process.start()
    try:
        if not await reached(processes, lambda status: status.sessions == len(users), START_PATIENCE):
            raise RuntimeError(f"some users could not start a chat: {total(processes)}")
        yield processes
    finally:
        for process in processes:
            process.kill()


@contextlib.asynccontextmanager
async def _background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _probe(auth_url: str, account: Account, operation_logs: Path) -> None:
    """Log in periodically, as a new client would, and record each success."""
    log = OperationLog(operation_logs / "prober.jsonl")
    body = {"id": account.id, "passcode": account.passcode}
    try:
        while True:
            began = time.monotonic()
            with contextlib.suppress(httpx2.HTTPError):
                async with httpx2.AsyncClient(base_url=auth_url, timeout=6) as http:
                    if (await http.post("/login", json=body)).status_code == 200:
                        log.record("login", began=began)
            await pause(PROBE, "the interval of the probes")
    finally:
        log.close()


async def _inject_faults(
    options: Options, injector: Injector | ContainerInjector, processes: Sequence[ClientProcess], directory: Path
) -> list[InjectedFault]:
    await pause(WARM, "the load before the first fault")
    deadline = time.monotonic() + options.seconds
    log = (directory / artifacts.FAULTS).open("a")
    done: list[InjectedFault] = []
    for fault in plan(options.seed, options.kinds):
        if len(done) >= options.faults or time.monotonic() + fault.gap > deadline:
            break
        await pause(fault.gap, "the load between two faults")
        injected = await injector.inject(fault)
        done.append(injected)
        log.write(injected.model_dump_json() + "\n")
        log.flush()
        status = total(processes)
        lasted = injected.repair - injected.start
        say(
            f"{len(done)}/{options.faults} {injected.kind} ({injected.target}) {lasted:.1f} s"
            f" · {status.acked} acked, {status.pending} pending, {status.connected}/{options.clients} connected"
        )
    log.close()
    await pause(WARM, "the load after the last fault")
    return done


async def _drain(processes: Sequence[ClientProcess]) -> bool:
    for process in processes:
        await process.drain()
    drained = await reached(processes, lambda status: status.pending == 0 and status.unseen == 0, DRAIN_PATIENCE)
    say(f"{'drained' if drained else 'NOT drained'}: {total(processes)}")
    return drained


async def _read_back(operation_logs: Path, users: Sequence[User], stack: AnyStack) -> dict[str, History]:
    """Read the history of every session through another gateway than the first one of its sender."""
    wanted = []
    for number, user in enumerate(users):
        entries = read(operation_logs / f"{user.id}.jsonl")
        sessions = {entry["session"] for entry in entries if entry.get("session")}
        url = stack.gateways[(number + 1) % len(stack.gateways)][1]
        wanted += [(session, user.token, url) for session in sessions]
    return await histories.read_all(wanted)
