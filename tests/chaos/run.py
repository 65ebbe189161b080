"""One run: start everything, let clients chat, break things, heal, drain, read back, compare."""

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

from tests.chaos import evidence, histories
from tests.chaos.checker import History
from tests.chaos.composed import ComposedStack, ContainerInjector, ContainerKeeper
from tests.chaos.crowd import Crowd, people, together, until
from tests.chaos.faults import plan
from tests.chaos.injection import Injected, Injector
from tests.chaos.job import Job, Person
from tests.chaos.ledger import Ledger, read
from tests.chaos.options import Options
from tests.chaos.stack import BreakableStack, DistributedChaosStack, EmbeddedChaosStack
from tests.chaos.stores import Stores
from tests.chaos.supervisor import Supervisor
from tests.support.client import Account, new_account
from tests.support.compose import Composition

CLIENTS_IN_ONE = 150  # clients of one process
BEGIN_PATIENCE = 60.0  # seconds until everybody has a session
WARM = 3.0  # seconds of calm before the first fault, and after the last
HEAL_PATIENCE = 60.0  # seconds until every process is ready after the last fault
DRAIN_PATIENCE = 60.0  # seconds until everything accepted has been seen stored and answered
PROBE = 0.5  # seconds between two logins of the prober

AnyStack = BreakableStack | ComposedStack
System = tuple[AnyStack, Supervisor | ContainerKeeper, Injector | ContainerInjector, dict[str, str]]


@dataclass(slots=True)
class Outcome:
    """What a run found."""

    verdict: evidence.Verdict
    faults: list[Injected]
    versions: dict[str, str]
    crashes: list[str]
    slow_stops: list[str]
    restarts: int
    seconds: float  # from the first fault to the end of the drain
    drained: bool
    directory: Path

    @property
    def harmless(self) -> bool:
        """Whether every promise held."""
        return self.verdict.findings.harmless and not self.crashes and not self.slow_stops and self.drained


def say(line: str) -> None:
    """Tell the operator."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")


async def run(options: Options) -> Outcome:
    """Do it all. The directory with ledgers, histories and logs is left for the caller to remove."""
    directory = Path(tempfile.mkdtemp(prefix="bc-chaos-"))
    (directory / evidence.LEDGERS).mkdir()
    (directory / "logs").mkdir()
    async with AsyncExitStack() as after:
        say(f"seed {options.seed}: starting everything in {directory}")
        stack, supervisor, injector, versions = await _system(options, directory, after)
        who = await people(stack.auth_url, options.clients)
        prober = await new_account(stack.auth_url)
        crowds = await after.enter_async_context(_chatting(options, stack, who, directory))
        await after.enter_async_context(_background(supervisor.watch()))
        await after.enter_async_context(_background(_probe(stack.auth_url, prober, directory / evidence.LEDGERS)))
        began = time.monotonic()
        faults = await _break(options, injector, crowds, directory)
        healed = await supervisor.all_ready(HEAL_PATIENCE)
        drained = await _drain(crowds)
        seconds = time.monotonic() - began
        evidence.keep(directory, await _read_back(directory / evidence.LEDGERS, who, stack))
        for crowd in crowds:
            await crowd.end()
    say("comparing")
    verdict = await asyncio.to_thread(evidence.compare, directory)
    return Outcome(
        verdict=verdict,
        faults=faults,
        versions=versions,
        crashes=supervisor.crashes,
        slow_stops=supervisor.slow_stops,
        restarts=supervisor.restarts,
        seconds=seconds,
        drained=healed and drained,
        directory=directory,
    )


async def _system(options: Options, directory: Path, after: AsyncExitStack) -> System:
    """What is to be broken, running; who looks after it, who breaks it, and the versions of its parts."""
    if options.profile == "composed":
        composition = Composition(options.project)
        keeper = ContainerKeeper(composition)
        versions = await asyncio.to_thread(composition.versions)
        return ComposedStack(composition, options.url), keeper, ContainerInjector(composition, keeper), versions
    stores = await _stores(options, after)
    stack = DistributedChaosStack(directory, stores) if stores else EmbeddedChaosStack(directory)
    after.push_async_callback(stack.shut)
    await stack.open()
    versions = {}
    if stores:
        await asyncio.to_thread(stores.settle)
        versions = await asyncio.to_thread(stores.versions)
    supervisor = Supervisor(stack)
    return stack, supervisor, Injector(stack, stores, supervisor), versions


async def _stores(options: Options, after: AsyncExitStack) -> Stores | None:
    """The servers that the run needs; none for the embedded system."""
    if options.profile == "embedded":
        return None
    stores = Stores(3 if options.profile == "cluster" else 1)
    after.push_async_callback(asyncio.to_thread, stores.stop)
    await asyncio.to_thread(stores.start)
    return stores


@contextlib.asynccontextmanager
async def _chatting(
    options: Options, stack: AnyStack, who: Sequence[Person], directory: Path
) -> AsyncIterator[list[Crowd]]:
    pause = 1.6 * options.clients / options.rate  # 1.6 messages in a burst on average
    crowds = []
    for start in range(0, len(who), CLIENTS_IN_ONE):
        job = Job(
            people=list(who[start : start + CLIENTS_IN_ONE]),
            gateways=stack.gateways,
            directory=directory / evidence.LEDGERS,
            seed=options.seed,
            pause=pause,
        )
        crowds.append(Crowd(job, directory / "logs" / f"clients-{start}.log"))
    for crowd in crowds:
        await crowd.start()
    try:
        if not await until(crowds, lambda status: status.sessions == len(who), BEGIN_PATIENCE):
            raise RuntimeError(f"not everybody could start a chat: {together(crowds)}")
        yield crowds
    finally:
        for crowd in crowds:
            crowd.kill()


@contextlib.asynccontextmanager
async def _background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _probe(auth_url: str, account: Account, ledgers: Path) -> None:
    """Log in again and again, as somebody new would."""
    ledger = Ledger(ledgers / "prober.jsonl")
    body = {"id": account.id, "passcode": account.passcode}
    try:
        while True:
            began = time.monotonic()
            with contextlib.suppress(httpx2.HTTPError):
                async with httpx2.AsyncClient(base_url=auth_url, timeout=6) as http:
                    if (await http.post("/login", json=body)).status_code == 200:
                        ledger.note("login", began=began)
            await asyncio.sleep(PROBE)
    finally:
        ledger.close()


async def _break(
    options: Options, injector: Injector | ContainerInjector, crowds: Sequence[Crowd], directory: Path
) -> list[Injected]:
    await asyncio.sleep(WARM)
    deadline = time.monotonic() + options.seconds
    log = (directory / evidence.FAULTS).open("a")
    done: list[Injected] = []
    for fault in plan(options.seed, options.kinds):
        if len(done) >= options.faults or time.monotonic() + fault.gap > deadline:
            break
        await asyncio.sleep(fault.gap)
        injected = await injector.inject(fault)
        done.append(injected)
        log.write(injected.model_dump_json() + "\n")
        log.flush()
        status = together(crowds)
        lasted = injected.repair - injected.start
        say(
            f"{len(done)}/{options.faults} {injected.kind} ({injected.target}) {lasted:.1f} s"
            f" · {status.acked} acked, {status.pending} open, {status.connected}/{options.clients} connected"
        )
    log.close()
    await asyncio.sleep(WARM)
    return done


async def _drain(crowds: Sequence[Crowd]) -> bool:
    for crowd in crowds:
        await crowd.drain()
    drained = await until(crowds, lambda status: status.pending == 0 and status.unseen == 0, DRAIN_PATIENCE)
    say(f"{'drained' if drained else 'NOT drained'}: {together(crowds)}")
    return drained


async def _read_back(ledgers: Path, who: Sequence[Person], stack: AnyStack) -> dict[str, History]:
    """Every session, through the gateway that is not its writer's first."""
    wanted = []
    for number, person in enumerate(who):
        entries = read(ledgers / f"{person.id}.jsonl")
        sessions = {entry["session"] for entry in entries if entry.get("session")}
        url = stack.gateways[(number + 1) % len(stack.gateways)][1]
        wanted += [(session, person.token, url) for session in sessions]
    return await histories.read_all(wanted)
