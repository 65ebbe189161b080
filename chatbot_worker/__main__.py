"""Runs the chatbot worker as a separate process on RabbitMQ: `python -m chatbot_worker`."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack

from prometheus_client import CollectorRegistry

from chatbot_worker.app import build
from chatbot_worker.settings import ChatbotProcessSettings
from shared.bus.rabbitmq import RabbitMQBus, refusal
from shared.contracts.topology import CATALOGUE, DEAD, DELIVERY, QUERIES, TURNS, log
from shared.http import health
from shared.http.health import WithHealth
from shared.runtime import logs
from shared.runtime.process import Assembly, run
from shared.runtime.settings import config_error, load

USAGE = "usage: python -m chatbot_worker [serve]"


def serve() -> None:
    """Run until SIGTERM."""
    settings = load(ChatbotProcessSettings)
    logs.configure("chatbot_worker", level=settings.log_level, form=settings.log_format)
    registry = CollectorRegistry()
    bus = RabbitMQBus(settings.amqp_url, name="chatbot_worker", registry=registry)
    service = build(settings, bus=bus, registry=registry)  # before anything opens: a wrong catalogue ends it here

    async def assemble(stack: AsyncExitStack) -> Assembly:
        used = (CATALOGUE, TURNS, DELIVERY, QUERIES, DEAD, log(settings.partitions))
        if why := await refusal(settings.amqp_url, used):
            raise config_error("AMQP_URL", why)
        await stack.enter_async_context(bus)
        shown = registry if settings.metrics == "on" else None
        return Assembly([service], WithHealth(health.routes("chatbot_worker", service.missing, shown)))

    run(assemble, host=settings.host, port=settings.port)


def main() -> None:
    """Run the command line. `serve` is the only command and the default."""
    if sys.argv[1:] not in ([], ["serve"]):
        print(USAGE, file=sys.stderr)  # noqa: T201 - a command line speaks plainly
        raise SystemExit(2)
    serve()


if __name__ == "__main__":
    main()
