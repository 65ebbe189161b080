"""One process full of people who chat and keep ledgers, half of them with the client kit.

`python -m tests.chaos.clients` reads a `Job` as the first line of its standard input, then `drain` (send nothing
new, settle what is open) and `end`; it prints a `Status` twice a second.
"""

from __future__ import annotations

import asyncio
import os
import sys

from tests.chaos.author import Author
from tests.chaos.job import Job, Status
from tests.chaos.kit import KitClient
from tests.chaos.stock import StockClient

END_PATIENCE = 20.0  # seconds in which everybody must have left


async def _commands() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def _status(clients: list[Author]) -> Status:
    return Status(
        sessions=sum(client.session is not None for client in clients),
        connected=sum(client.connected for client in clients),
        sent=sum(client.sent for client in clients),
        acked=sum(client.acked for client in clients),
        pending=sum(client.pending for client in clients),
        unseen=sum(not client.settled for client in clients),
    )


async def _tell(clients: list[Author]) -> None:
    while True:
        sys.stdout.write(_status(clients).model_dump_json() + "\n")
        sys.stdout.flush()
        for client in clients:
            client.ledger.flush()
        await asyncio.sleep(0.5)


async def run() -> None:
    """Chat as the commands say."""
    commands = await _commands()
    job = Job.model_validate_json(await commands.readline())
    clients: list[Author] = [
        (KitClient if person.kit else StockClient)(person, number, job) for number, person in enumerate(job.people)
    ]
    draining = asyncio.Event()
    work = [client.chat(draining) for client in clients]
    tasks = [asyncio.create_task(coroutine) for coroutine in [*work, _tell(clients)]]
    while (await commands.readline()).strip() == b"drain":
        draining.set()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=END_PATIENCE)
    stuck = [task for task in tasks if not task.done()]
    died = [task for task in tasks if task.done() and not task.cancelled()]
    for client in clients:
        client.finish()
        client.ledger.close()
    for task in died:
        task.result()
    if stuck:
        sys.stderr.write(f"{len(stuck)} clients did not end: {stuck[0].get_stack()}\n")
        sys.stderr.flush()
        os._exit(1)  # the loop would wait for them


if __name__ == "__main__":
    asyncio.run(run())
