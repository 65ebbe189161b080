"""The services while the broker blocks publishers (contract P11); other tests share their broker, so these have one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.conftest import Fresh
from tests.support.broker_alarms import alarmed
from tests.support.client import Device, log_in, new_account
from tests.support.rabbitmq import RabbitMQ
from tests.support.stack import DistributedStack, Part, running_stack, status
from tests.support.waiting import until

pytestmark = [pytest.mark.timeout(240), pytest.mark.e2e, pytest.mark.rabbitmq, pytest.mark.postgresql]

PROMISED = 6.0  # seconds until `unavailable`
BACK = 5.0  # seconds after the end of the alarm


@pytest.fixture(scope="module")
def broker() -> Iterator[RabbitMQ]:
    server = RabbitMQ()
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture
def stack(broker: RabbitMQ, new_database: Fresh, tmp_path: Path) -> Iterator[DistributedStack]:
    with new_database() as postgresql_url:
        urls = {"postgresql_url": postgresql_url, "amqp_url": broker.fresh_vhost()}
        with running_stack(DistributedStack(tmp_path, **urls)) as stack:
            yield stack


async def readiness(part: Part) -> tuple[int, dict[str, Any]]:
    async with httpx2.AsyncClient(base_url=part.url) as http:
        answer = await http.get("/readyz")
    return answer.status_code, answer.json()


@pytest.mark.parametrize("kind", ["memory", "disk"])
async def test_alarm_is_unavailable_in_time_and_loses_nothing_acked(
    broker: RabbitMQ, stack: DistributedStack, kind: str
) -> None:
    account = await new_account(stack.auth_url)
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat()
        for number in range(5):
            await device.send(session, f"before {number}")
        async with alarmed(broker, [kind]):
            await _alarm_is_named(stack, kind)
            await _is_refused(device, session, "send_message", content="meanwhile", client_message_id="meanwhile")
            await _is_refused(device, session, "get_messages")
            assert await log_in(stack.auth_url, account.id, account.passcode), "auth needs no broker"
            async with Device(stack.gateway_urls[1], account.token):
                """New sockets become ready."""
            assert device.client.connected
        ended = time.monotonic()
        sent = {"session_id": session["id"], "content": "meanwhile", "client_message_id": "meanwhile"}
        again = await device.call("send_message", sent)
        assert again["ok"], again
        await device.reply_to(again["message_id"])
        assert time.monotonic() - ended < BACK
        stored = [m["content"] for m in await device.history(session) if m["sender_type"] == "user"]
        assert stored == [*(f"before {number}" for number in range(5)), "meanwhile"]
        await until(lambda: all(part.ready() for part in stack.parts.values()), BACK)


async def _alarm_is_named(stack: DistributedStack, kind: str) -> None:
    """Every service that publishes is not ready; auth is, since its events wait in the outbox."""
    named = ["broker", f"{kind} alarm"]
    for name, part in stack.parts.items():
        expected = (200, "degraded") if name == "auth_service" else (503, "missing")

        async def is_named(part: Part = part, expected: tuple[int, str] = expected) -> bool:
            status, body = await readiness(part)
            return status == expected[0] and body.get(expected[1]) == named

        await until(is_named, every=0.1)


async def _is_refused(device: Device, session: dict[str, Any], event: str, **payload: Any) -> None:
    begun = time.monotonic()
    assert await device.error(event, {"session_id": session["id"], **payload}) == "unavailable"
    assert time.monotonic() - begun < PROMISED


async def test_services_that_start_during_an_alarm_name_it_and_work_after_it(
    broker: RabbitMQ, stack: DistributedStack
) -> None:
    account = await new_account(stack.auth_url)
    async with alarmed(broker, ["memory"]):
        for name, part in stack.parts.items():
            await stack.kill9(name)
            part.child = stack.spawn(f"{name}-during-the-alarm", part.module, settings=part.settings, port=part.port)
        healthy = [f"{part.url}/healthz" for part in stack.parts.values()]
        await until(lambda: all(status(url) == 200 for url in healthy), 60, every=0.2)
        await _alarm_is_named(stack, "memory")
    await until(lambda: all(part.ready() for part in stack.parts.values()), BACK)
    async with Device(stack.gateway_urls[0], account.token) as device:
        session = await device.start_chat()
        await device.reply_to(await device.send(session, "hello"))
