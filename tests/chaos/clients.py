"""One process of simulated users, half of them with the client kit; each writes an operation log.

`python -m tests.chaos.clients` reads a `Job` as the first line of its standard input, then `drain` (send nothing new,
retry what is pending) and `end`. It prints a `Status` twice a second.
"""

from __future__ import annotations

import asyncio
import os
import sys

from tests.chaos.client_process import STATUS_INTERVAL
from tests.chaos.job import Job, Status
from tests.chaos.kit_client import KitClient
from tests.chaos.simulated_client import SimulatedClient
from tests.chaos.stock_client import StockClient
from tests.support.waiting import pause

END_PATIENCE = 20.0  # seconds for all clients to disconnect


async def _commands() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def _status(clients: list[SimulatedClient]) -> Status:
    return Status(
        sessions=sum(client.session is not None for client in clients),
        connected=sum(client.connected for client in clients),
        sent=sum(client.sent for client in clients),
        acked=sum(client.acked for client in clients),
        pending=sum(client.pending for client in clients),
        unseen=sum(not client.up_to_date for client in clients),
    )


async def _report_periodically(clients: list[SimulatedClient]) -> None:
    while True:
        sys.stdout.write(_status(clients).model_dump_json() + "\n")
        sys.stdout.flush()
        for client in clients:
            client.log.flush()
        await pause(STATUS_INTERVAL, "the interval of status reports")


async def run() -> None:
    """Chat until `end`."""
    commands = await _commands()
    job = Job.model_validate_json(await commands.readline())
    clients: list[SimulatedClient] = [
        (KitClient if user.kit else StockClient)(user, number, job) for number, user in enumerate(job.users)
    ]
    draining = asyncio.Event()
    work = [client.chat(draining) for client in clients]
    tasks = [asyncio.create_task(coroutine) for coroutine in [*work, _report_periodically(clients)]]
    while (await commands.readline()).strip() == b"drain":
        draining.set()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=END_PATIENCE)
    stuck = [task for task in tasks if not task.done()]
    failed = [task for task in tasks if task.done() and not task.cancelled()]
    for client in clients:
        client.finish()
        client.log.close()
    for task in failed:
        task.result()
    if stuck:
        sys.stderr.write(f"{len(stuck)} clients did not end: {stuck[0].get_stack()}\n")
        sys.stderr.flush()
        os._exit(1)  # asyncio.run would wait for them without limit


if __name__ == "__main__":
    asyncio.run(run())
