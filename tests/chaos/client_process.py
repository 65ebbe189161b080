"""Client processes, as the run controls them."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.chaos.job import Job, Status, User
from tests.support.client import new_account
from tests.support.stack import ROOT
from tests.support.waiting import until

REGISTRATIONS = 4  # at the same time; password hashing saturates the cores at that number
END_PATIENCE = 30.0  # seconds
STATUS_INTERVAL = 0.5  # seconds between two reports of a process
SECOND_DEVICES = 2  # users in four with a second device: one with the kit, one without


async def register_users(auth_url: str, count: int) -> list[User]:
    """Register accounts; every second one uses the kit, and half of each group has a second device."""
    gate = asyncio.Semaphore(REGISTRATIONS)

    async def one(number: int) -> User:
        async with gate:
            account = await new_account(auth_url)
        return User(id=account.id, token=account.token, devices=1 + (number % 4 < SECOND_DEVICES), kit=number % 2 == 1)

    return list(await asyncio.gather(*map(one, range(count))))


class ClientProcess:
    """One `python -m tests.chaos.clients`, controlled by lines on its standard input."""

    def __init__(self, job: Job, errors: Path) -> None:
        self.status = Status()
        self.reports = 0  # statuses received
        self._job = job
        self._errors = errors
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start the process; its clients connect and chat."""
        with self._errors.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.chaos.clients"),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C goes to the run only, which ends this process in order
            )
        self._reader = asyncio.create_task(self._read())
        await self._write(self._job.model_dump_json())

    async def drain(self) -> None:
        """Stop sending new messages; pending ones are retried until they are answered."""
        await self._write("drain")

    async def end(self) -> None:
        """End the process; its operation logs are complete afterwards.

        Raises:
            RuntimeError: it failed.
        """
        assert self._process
        with contextlib.suppress(ConnectionError):
            await self._write("end")
        try:
            code = await asyncio.wait_for(self._process.wait(), END_PATIENCE)
        except TimeoutError:
            self._process.kill()
            code = await asyncio.wait_for(self._process.wait(), END_PATIENCE)
        self._reader.cancel()
        if code:
            raise RuntimeError(f"client process failed with exit code {code}:\n{self._errors.read_text()[-2000:]}")

    def kill(self) -> None:
        """Kill the process if it is running."""
        if self._process and self._process.returncode is None:
            self._process.kill()

    async def _write(self, line: str) -> None:
        assert self._process and self._process.stdin
        self._process.stdin.write(line.encode() + b"\n")
        await asyncio.wait_for(self._process.stdin.drain(), END_PATIENCE)

    async def _read(self) -> None:
        assert self._process and self._process.stdout
        async for line in self._process.stdout:
            self.status = Status.model_validate_json(line)
            self.reports += 1


def total(processes: Sequence[ClientProcess]) -> Status:
    """Sum the statuses of all processes."""
    fields = list(Status.model_fields)
    return Status(**{name: sum(getattr(process.status, name) for process in processes) for name in fields})


async def reached(processes: Sequence[ClientProcess], holds: Callable[[Status], bool], within: float) -> bool:
    """Wait until the total status fits; returns whether it did `within` that many seconds."""
    reports = [process.reports + 2 for process in processes]  # the next one may be older than the last command

    def fits() -> bool:
        current = all(process.reports >= number for process, number in zip(processes, reports, strict=True))
        return current and holds(total(processes))

    try:
        return await until(fits, within, every=STATUS_INTERVAL / 2)
    except AssertionError:
        return False
