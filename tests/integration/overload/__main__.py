"""`python -m tests.integration.overload --stack distributed --seconds 60`: a run beyond capacity, and its figures."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.integration.overload.cores import generator_apart
from tests.integration.overload.run import overload
from tests.support.servers import PostgreSQL, RabbitMQ
from tests.support.stack import DistributedStack, EmbeddedStack, Stack

SETTINGS = {"LIMITS": "off", "LOG_LEVEL": "warning"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stack", choices=["embedded", "distributed"], default="distributed")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--times", type=float, default=10.0, help="the capacity that is offered")
    options = parser.parse_args()
    with ExitStack() as leaving:
        directory = Path(leaving.enter_context(tempfile.TemporaryDirectory()))
        stacks: list[Stack] = []

        def start() -> None:
            stacks.append(_stack(options.stack, directory, leaving))
            leaving.callback(stacks[0].close)
            stacks[0].start_now()

        leaving.enter_context(generator_apart(start))
        outcome = asyncio.run(overload(stacks[0], seconds=options.seconds, times=options.times))
        print(outcome)  # noqa: T201
        stacks[0].stop_now()
    return 1 if outcome.lost or outcome.doubled else 0


def _stack(kind: str, directory: Path, leaving: ExitStack) -> Stack:
    if kind == "embedded":
        return EmbeddedStack(directory, SETTINGS)
    postgresql, rabbitmq = PostgreSQL(), RabbitMQ()
    leaving.callback(postgresql.stop)
    leaving.callback(rabbitmq.stop)
    postgresql.start()
    rabbitmq.start()
    url = postgresql.url("postgres")
    return DistributedStack(directory, postgresql_url=url, amqp_url=rabbitmq.url, settings=SETTINGS)


if __name__ == "__main__":
    sys.exit(main())
