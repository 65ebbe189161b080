"""The processes full of clients, seen from the run."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.chaos.job import Job, Person, Status
from tests.support.client import new_account
from tests.support.stack import ROOT

REGISTRATIONS = 4  # at the same time: hashing passcodes fills the cores anyway
END_PATIENCE = 30.0  # seconds
SECOND_DEVICES = 2  # so many of four people have one: one with the kit, one without


async def people(auth_url: str, count: int) -> list[Person]:
    """New accounts; every second one has the kit, and half of each a second device to read on."""
    gate = asyncio.Semaphore(REGISTRATIONS)

    async def one(number: int) -> Person:
        async with gate:
            account = await new_account(auth_url)
        return Person(
            id=account.id, token=account.token, devices=1 + (number % 4 < SECOND_DEVICES), kit=number % 2 == 1
        )

    return list(await asyncio.gather(*map(one, range(count))))


class Crowd:
    """One process of clients: a `tests.chaos.clients`, told what to do by lines."""

    def __init__(self, job: Job, errors: Path) -> None:
        self.status = Status()
        self._job = job
        self._errors = errors
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process; clients begin to connect and to chat."""
        with self._errors.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.chaos.clients"),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is for the run, which then ends this in order
            )
        self._reader = asyncio.create_task(self._read())
        await self._say(self._job.model_dump_json())

    async def drain(self) -> None:
        """Let it send nothing new."""
        await self._say("drain")

    async def end(self) -> None:
        """End it; every ledger is complete afterwards. Raises RuntimeError if it failed."""
        assert self._process
        with contextlib.suppress(ConnectionError):
            await self._say("end")
        try:
            code = await asyncio.wait_for(self._process.wait(), END_PATIENCE)
        except TimeoutError:
            self._process.kill()
            code = await asyncio.wait_for(self._process.wait(), END_PATIENCE)
        self._reader.cancel()
        if code:
            raise RuntimeError(f"the clients failed with exit code {code}:\n{self._errors.read_text()[-2000:]}")

    def kill(self) -> None:
        """End it at once if it still runs."""
        if self._process and self._process.returncode is None:
            self._process.kill()

    async def _say(self, line: str) -> None:
        assert self._process and self._process.stdin
        self._process.stdin.write(line.encode() + b"\n")
        await asyncio.wait_for(self._process.stdin.drain(), END_PATIENCE)

    async def _read(self) -> None:
        assert self._process and self._process.stdout
        async for line in self._process.stdout:
            self.status = Status.model_validate_json(line)


def together(crowds: Sequence[Crowd]) -> Status:
    """The sum of all."""
    fields = list(Status.model_fields)
    return Status(**{name: sum(getattr(crowd.status, name) for crowd in crowds) for name in fields})


async def until(
    crowds: Sequence[Crowd], holds: Callable[[Status], bool], patience: float, *, poll: float = 0.25
) -> bool:
    """Wait until the sum of all fits, at most `patience` seconds; whether it did."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):
            await asyncio.sleep(2 * poll)  # one status later than what was said last
            while not holds(together(crowds)):  # noqa: ASYNC110 - the statuses come from other processes
                await asyncio.sleep(poll)
            return True
    return False
