"""Generates load: reads a `Job` from standard input, writes a line of JSON for each mark and result."""

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
from benchmarks.generator.job import STREAMED_CHATBOT, Job, Phase
from benchmarks.generator.lane import Lane, Tally
from benchmarks.generator.workloads import Pair, closed, opened

SETUP_AT_ONCE = 16  # handshakes and new sessions under way at a time
PAGE = 200

Lanes = dict[bool, list[Pair]]  # of one connection, by whether their replies are streamed


def tell(**line: Any) -> None:
    """Write a line of JSON for the driver."""
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    sys.stdout.buffer.flush()


async def connect(job: Job, tally: Tally) -> list[Lanes]:
    """Open the connections, each with its lanes, as many of both as the largest phase needs."""
    limit = asyncio.Semaphore(SETUP_AT_ONCE)
    wanted = {
        streamed: max((phase.lanes for phase in job.phases if phase.streamed is streamed), default=0)
        for streamed in (False, True)
    }

    async def one(number: int) -> Lanes:
        async with limit:
            url = job.urls[number % len(job.urls)]
            connection = await Connection.open(url, {"token": job.tokens[number]})
            return {
                streamed: [await start(connection, streamed=streamed) for _ in range(wanted[streamed])]
                for streamed in wanted
            }

    async def start(connection: Connection, *, streamed: bool) -> Pair:
        request = {"title": "Benchmark"} | ({"chatbot_ids": [STREAMED_CHATBOT]} if streamed else {})
        session_id = (await connection.call("start_chat", request))["session"]["id"]
        lane = connection.lanes[session_id] = Lane(session_id, job.tells_stored, tally)
        return connection, lane

    return list(await asyncio.gather(*(one(n) for n in range(max(phase.connections for phase in job.phases)))))


async def run_phase(phase: Phase, connected: list[Lanes]) -> dict[str, Any]:
    """Run one phase on its share of the connections. Adds the generator's own CPU and the deltas per turn."""
    chosen = [lanes[phase.streamed][: phase.lanes] for lanes in connected[: phase.connections]]
    # Lane by lane, so that consecutive turns are on different connections.
    pairs = [each[lane] for lane in range(phase.lanes) for each in chosen]
    own = psutil.Process()
    used: list[float] = []
    deltas: list[int] = []

    def mark(at: str) -> None:
        used.append(sum(own.cpu_times()[:2]))
        deltas.append(sum(each[0][0].deltas for each in chosen))
        tell(mark=at, phase=phase.name)

    gc.collect()
    gc.freeze()
    if phase.kind == "closed":
        result = await closed(pairs, phase, mark)
    else:
        result = await opened(pairs, phase, mark)
    return result | {
        "generator_cpu_seconds": round(used[1] - used[0], 3),
        "deltas_a_turn": round((deltas[1] - deltas[0]) / max(result["turns"], 1), 1),
    }


async def audit(pairs: list[Pair]) -> None:
    """Read every session's history as a client can, and compare it with the acks."""
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
    """Run the job from standard input."""
    job = Job.model_validate_json(sys.stdin.buffer.read())
    tally = Tally()
    connected = await connect(job, tally)
    tell(mark="connected")
    for phase in job.phases:
        result = await run_phase(phase, connected)
        tell(mark="result", phase=phase.name, result=result)
    pairs = [pair for lanes in connected for of_chatbot in lanes.values() for pair in of_chatbot]
    if job.audit:
        await audit(pairs)
    connections = {id(connection): connection for connection, _ in pairs}.values()
    tally.lost += sum(connection.lost_connection for connection in connections)
    for connection in connections:
        connection.close()
    completed = sum(lane.completed for _, lane in pairs)
    tell(mark="done", tally=asdict(tally), completed=completed)


if __name__ == "__main__":
    gc.disable()
    uvloop.run(main())
