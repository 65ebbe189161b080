"""The figures of security with their aims; `python -m tests.integration.security.figures` measures them.

The suite measures them shorter, and prints its own at the end (`tests/conftest.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2

from auth_service.domain.throttle_rules import Budget, Tally, aged, failed, wait
from auth_service.settings import AuthSettings
from auth_service.use_cases.throttle import login_budgets
from tests.integration.security.events import of_sessions, payload
from tests.support.client import PATIENCE, Account, Device, log_in, new_account
from tests.support.figures import Figure
from tests.support.rabbitmq import RabbitMQ
from tests.support.servers import PostgreSQL
from tests.support.stack import ROOT, DistributedStack, EmbeddedStack, Stack
from tests.support.waiting import until

AT_ONCE = 60
FROM_ONE_ADDRESS = 464  # guesses at all accounts in the first hour, as docs/explanation/security.md says


def frames(outcome: Any) -> Figure:
    """Of a run of the frame fuzzer (`fuzz.Outcome`)."""
    measured = (
        f"{outcome.frames:,} tried, {len(outcome.trouble)} crashes, {len(outcome.fail_open)} fail-open, "
        f"{len(outcome.leaks)} leaks, {outcome.left:g} sockets left, seed {outcome.seed}"
    )
    return Figure("hostile frames", measured, "0 of each (10^6 tried over all runs)", reached=not outcome.failures())


async def foreign(eve: Device, ids: Sequence[str]) -> tuple[int, set[str]]:
    """How many tries at sessions that are not hers, each event with each id, and which answers there were."""
    answers: set[str] = set()
    for event in of_sessions():
        for at in range(0, len(ids), AT_ONCE):
            tries = (eve.call(event, payload(event, {"session_id": i})) for i in ids[at : at + AT_ONCE])
            answers |= {str(answer) for answer in await asyncio.gather(*tries)}
    return len(ids) * len(of_sessions()), answers


def foreign_tries(tried: int, answers: set[str]) -> Figure:
    """Figure of such tries: the answers must not differ."""
    told = len(answers) - 1
    aim = "no difference (10,000 tried in the long run)"
    return Figure("tries at foreign sessions", f"{tried:,} tried, {told} answers that differ", aim, reached=not told)


def guesses_an_hour(budget: Budget) -> int:
    """Return how many passcodes one client can try in an hour if it retries as soon as allowed."""
    begun = now = datetime(2026, 1, 1, tzinfo=UTC)
    tally, count = Tally(begun), 0
    while now - begun < timedelta(hours=1):
        tally = aged(tally, budget, now)
        seconds = wait(tally, budget, now)
        if not seconds:
            tally, count = failed(tally, budget, now), count + 1
        now += timedelta(seconds=seconds)
    return count


def guessing() -> Iterator[Figure]:
    """By the limits that are the default."""
    pair, address, account = (guesses_an_hour(budget) for budget in login_budgets(AuthSettings()))
    nist = "at most 100 (NIST SP 800-63B)"
    yield Figure("guesses an hour at one account, from one address", str(pair), nist, reached=pair <= 100)
    yield Figure("guesses an hour at one account, from everywhere", str(account), nist, reached=account <= 100)
    documented = f"documented: {FROM_ONE_ADDRESS}"
    yield Figure("guesses an hour from one address", str(address), documented, reached=address <= FROM_ONE_ADDRESS)


async def enumeration(auth_url: str, known: str, count: int) -> Figure:
    """The times of refusals for a known and an unknown id, alternating; a gap of medians, and Kolmogorov-Smirnov."""
    took: tuple[list[float], list[float]] = ([], [])
    async with httpx2.AsyncClient(base_url=auth_url, timeout=PATIENCE) as http:
        for n in range(2 * count):
            form = {"id": (known, f"nobody-{n:05}")[n % 2], "passcode": "correct horse battery"}
            begun = time.perf_counter()
            assert (await http.post("/login", json=form)).status_code == 401
            took[n % 2].append(time.perf_counter() - begun)
    first, second = map(statistics.median, took)
    gap, p = abs(first - second) / second, kolmogorov_smirnov(*took)
    measured = f"medians differ by {gap:.1%}, KS p {p:.2f}, {count:,} each"
    return Figure("known and unknown ids at login", measured, "under 5 %, p over 0.05", reached=gap < 0.05 < p)


def kolmogorov_smirnov(first: Sequence[float], second: Sequence[float]) -> float:
    """The probability of a difference as large as this between two samples of one distribution.

    Asymptotic, as in Press et al., Numerical Recipes, 3rd edition, section 14.3.3.
    """
    ranks = sorted([(value, 1 / len(first)) for value in first] + [(value, -1 / len(second)) for value in second])
    at = most = 0.0
    for _, step in ranks:
        at += step
        most = max(most, abs(at))
    root = math.sqrt(len(first) * len(second) / (len(first) + len(second)))
    scaled = (root + 0.12 + 0.11 / root) * most
    if scaled < 0.2:
        return 1.0
    return min(1.0, 2 * sum((-1.0) ** (j - 1) * math.exp(-2 * (j * scaled) ** 2) for j in range(1, 101)))


async def revocation(stack: Stack, when: str, before: Callable[[], Any] = lambda: None) -> Figure:
    """Two gateways (where there are two), three devices, one `POST /logout/all`: seconds until all are closed."""
    account = await new_account(stack.auth_url)
    tokens = [account.token, *[await log_in(stack.auth_url, account.id, account.passcode) for _ in range(2)]]
    async with AsyncExitStack() as open_ones:
        urls = [stack.gateway_urls[0], stack.gateway_urls[-1], stack.gateway_urls[-1]]
        devices = [await open_ones.enter_async_context(Device(u, t)) for u, t in zip(urls, tokens, strict=True)]
        await asyncio.to_thread(before)
        async with httpx2.AsyncClient(base_url=stack.auth_url, timeout=PATIENCE) as http:
            answer = await http.post("/logout/all", headers={"Authorization": f"Bearer {account.token}"})
        assert answer.status_code == 204
        begun = time.monotonic()
        await until(lambda: not any(device.client.connected for device in devices), PATIENCE)
        took = time.monotonic() - begun
    return Figure(f"revocation{when}", f"every socket closed after {took:.2f} s", "2 s", reached=took <= 2)


def audit() -> Figure:
    """What `tools/audit` says."""
    ended = subprocess.run([ROOT / "tools/audit"], capture_output=True, text=True, timeout=900, check=False)
    lines = [line.removeprefix("backchat: ").partition(" (")[0] for line in ended.stdout.splitlines()]
    asked = None if ended.returncode == 0 and any("not audited" in line for line in lines) else ended.returncode == 0
    return Figure("known vulnerabilities", "; ".join(lines), "0", reached=asked)


async def measure(directory: Path, options: argparse.Namespace) -> AsyncIterator[Figure]:
    """One after another."""
    from tests.integration.security.fuzz import Fuzz  # noqa: PLC0415 - it prints figures itself

    async with _running(EmbeddedStack(directory / "one", {"LIMITS": "off", "LOG_LEVEL": "info"})) as stack:
        yield frames(await Fuzz(stack, options.frames, options.seed).run())
        ada, eve = await new_account(stack.auth_url), await new_account(stack.auth_url)
        yield await _foreign(stack, ada, eve, options.ids)
        yield await enumeration(stack.auth_url, ada.id, options.logins)
        yield await revocation(stack, ", embedded")
    for figure in guessing():
        yield figure
    if options.distributed:
        postgresql, rabbitmq = PostgreSQL().start(), RabbitMQ().start()
        try:
            made = DistributedStack(directory / "two", postgresql_url=postgresql.url(), amqp_url=rabbitmq.url)
            async with _running(made) as stack:
                yield await revocation(stack, ", two gateways")
                yield await revocation(stack, ", two gateways, RabbitMQ just killed", rabbitmq.kill)
        finally:
            rabbitmq.stop()
            postgresql.stop()
    yield await asyncio.to_thread(audit)


async def _foreign(stack: Stack, ada: Account, eve: Account, ids: int) -> Figure:
    async with Device(stack.gateway_urls[0], ada.token) as owner, Device(stack.gateway_urls[0], eve.token) as stranger:
        session = await owner.start_chat("echo")
        return foreign_tries(*await foreign(stranger, [session["id"], *(str(uuid4()) for _ in range(ids - 1))]))


@asynccontextmanager
async def _running(stack: Stack) -> AsyncIterator[Stack]:
    try:
        yield await stack.start()
    finally:
        await asyncio.to_thread(stack.close)


def main() -> int:
    """Measure and print; 1 where a figure was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=20_000, help="hostile frames")
    parser.add_argument("--ids", type=int, default=700, help="ids that are tried with each event")
    parser.add_argument("--logins", type=int, default=1_000, help="refused logins of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--distributed", action=argparse.BooleanOptionalAction, default=True)
    options = parser.parse_args()

    async def run(directory: Path) -> list[Figure]:
        found = []
        async for figure in measure(directory, options):
            print(figure, flush=True)  # noqa: T201
            found.append(figure)
        return found

    with tempfile.TemporaryDirectory() as directory:
        return 1 if any(figure.reached is False for figure in asyncio.run(run(Path(directory)))) else 0


if __name__ == "__main__":
    sys.exit(main())
