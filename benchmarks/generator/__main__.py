"""`python -m benchmarks.generator`: a `Job` on standard input, a line of JSON for each mark and result on output."""

from __future__ import annotations

import asyncio
import gc
import sys
from dataclasses import asdict
from typing import Any

import orjson
import psutil
import uvloop

from benchmarks.generator.connection import Connection
from benchmarks.generator.job import Job, Phase
from benchmarks.generator.lane import Lane, Tally
from benchmarks.generator.workloads import Pair, closed, opened

SETUP_AT_ONCE = 16  # handshakes and new sessions under way at a time
PAGE = 200


def tell(**line: Any) -> None:
    """One line for the driver."""
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    sys.stdout.buffer.flush()


async def connect(job: Job, tally: Tally) -> list[list[Pair]]:
    """The connections, each with its lanes; as many of both as the largest phase wants."""
    limit = asyncio.Semaphore(SETUP_AT_ONCE)
    lanes = max(phase.lanes for phase in job.phases)

    async def one(number: int) -> list[Pair]:
        async with limit:
            url = job.urls[number % len(job.urls)]
            connection = await Connection.open(url, {"token": job.tokens[number]})
            for title in range(lanes):
                answer = await connection.call("start_chat", {"title": f"Benchmark {title}"})
                session_id = answer["session"]["id"]
                connection.lanes[session_id] = Lane(session_id, job.tells_stored, tally)
            return [(connection, lane) for lane in connection.lanes.values()]

    return list(await asyncio.gather(*(one(n) for n in range(max(phase.connections for phase in job.phases)))))


async def run_phase(phase: Phase, connected: list[list[Pair]]) -> dict[str, Any]:
    """Run one phase on its share of the connections; adds the generator's own CPU."""
    chosen = [pairs[: phase.lanes] for pairs in connected[: phase.connections]]
    # Lane by lane, so that neighbours in time are on different connections.
    pairs = [each[lane] for lane in range(phase.lanes) for each in chosen]
    own = psutil.Process()
    used: list[float] = []

    def mark(at: str) -> None:
        used.append(sum(own.cpu_times()[:2]))
        tell(mark=at, phase=phase.name)

    gc.collect()
    gc.freeze()
    if phase.kind == "closed":
        result = await closed(pairs, warm=phase.warm, seconds=phase.seconds, mark=mark)
    else:
        result = await opened(pairs, rate=phase.rate, warm=phase.warm, seconds=phase.seconds, mark=mark)
    return result | {"generator_cpu_seconds": round(used[1] - used[0], 3)}


async def audit(connected: list[list[Pair]]) -> None:
    """Read every session's history as a client can, and compare it with what was acked."""
    for pairs in connected:
        for connection, lane in pairs:
            stored: list[str] = []
            after, more = 0, True
            while more:
                request = {"session_id": lane.session_id, "after_seq": after, "limit": PAGE}
                answer = await connection.call("get_messages", request)
                stored += [message["id"] for message in answer["messages"] if message["sender_type"] == "user"]
                more = answer["has_more"]
                after = answer["messages"][-1]["seq"] if answer["messages"] else after
            lane.compare_history(stored)


async def main() -> None:
    """Do the job."""
    job = Job.model_validate_json(sys.stdin.buffer.read())
    tally = Tally()
    connected = await connect(job, tally)
    tell(mark="connected")
    for phase in job.phases:
        result = await run_phase(phase, connected)
        tell(mark="result", phase=phase.name, result=result)
    if job.audit:
        await audit(connected)
    tally.lost += sum(pairs[0][0].lost_connection for pairs in connected)
    for pairs in connected:
        pairs[0][0].close()
    completed = sum(lane.completed for pairs in connected for _connection, lane in pairs)
    tell(mark="done", tally=asdict(tally), completed=completed)


if __name__ == "__main__":
    gc.disable()
    uvloop.run(main())
