"""`python -m chat_gateway`: run one gateway on RabbitMQ."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack

import structlog
from prometheus_client import CollectorRegistry

from chat_gateway.app import build
from chat_gateway.identity.auth_client import AuthClient
from chat_gateway.settings import GatewayProcessSettings
from shared.bus.rabbitmq import RabbitMQBus, refusal
from shared.contracts.topology import CONTROL, DELIVERY, QUERIES, log
from shared.http import health
from shared.http.health import WithHealth
from shared.runtime import logs
from shared.runtime.process import Assembly, run
from shared.runtime.settings import config_error, load

USAGE = "usage: python -m chat_gateway [serve]"


async def assemble(settings: GatewayProcessSettings, stack: AsyncExitStack) -> Assembly:
    """Connect the bus and auth, and build the gateway."""
    registry = CollectorRegistry()
    used = (log(settings.partitions), QUERIES, DELIVERY, CONTROL)
    if why := await refusal(settings.amqp_url, used):
        raise config_error("AMQP_URL", why)
    bus = await stack.enter_async_context(RabbitMQBus(settings.amqp_url, name="chat_gateway", registry=registry))
    auth = await stack.enter_async_context(AuthClient(settings.auth_url))
    service = build(
        settings,
        bus=bus,
        jwks=auth.jwks,
        revocations=auth.revocations,
        accounts=auth.existing_accounts,
        registry=registry,
    )
    checks = health.routes(service.name, service.missing, registry if settings.metrics == "on" else None)
    return Assembly([service], WithHealth(checks, service.app))


def main(arguments: list[str]) -> int:
    """Run until SIGTERM; return the exit code."""
    if arguments not in ([], ["serve"]):
        print(USAGE, file=sys.stderr)  # noqa: T201
        return 2
    settings = load(GatewayProcessSettings)
    logs.configure("chat_gateway", level=settings.log_level, form=settings.log_format)
    if settings.limits == "off":
        structlog.get_logger(__name__).warning("limits.disabled", reason="BACKCHAT_LIMITS is off, for load tests only")

    async def build_all(stack: AsyncExitStack) -> Assembly:
        return await assemble(settings, stack)

    run(build_all, host=settings.host, port=settings.port)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
