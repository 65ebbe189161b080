"""A broker address that cannot work ends each service with one line and exit code 2; a broker that is away does not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from yarl import URL

from shared.bus.rabbitmq import RabbitMQBus, refusal
from shared.contracts.envelope import read_body
from shared.contracts.topology import ACCOUNTS, DELIVERY, Queue
from tests.integration.rabbitmq_bus.conftest import LOG, note
from tests.support.ports import free_port
from tests.support.rabbitmq import RabbitMQ
from tests.support.waiting import until

pytestmark = pytest.mark.timeout(180)

SERVICES = ["auth_service", "chat_gateway", "persistence_worker", "chatbot_worker"]
Run = Callable[[str, str], subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def started(service: str, url: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", service],
            env={
                "PATH": os.defpath,
                "BACKCHAT_DATABASE_URL": "postgresql+asyncpg://127.0.0.1:1/nothing",
                "BACKCHAT_AMQP_URL": url,
                "BACKCHAT_AUTH_URL": "http://127.0.0.1:1",
                "BACKCHAT_SIGNING_KEYS": str(tmp_path / "keys"),
                "BACKCHAT_PORT": str(free_port()),
                "BACKCHAT_LOG_LEVEL": "error",
                "BACKCHAT_LOCAL_MODEL": "off",
            },
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    return started


@pytest.fixture
def poor(rabbitmq: RabbitMQ, amqp_url: str) -> Callable[..., str]:
    """Gives the user `poor` these rights on the virtual host, and returns its address."""
    vhost = amqp_url.rpartition("/")[2]
    if "poor" not in rabbitmq.ctl("list_users"):
        rabbitmq.ctl("add_user", "poor", "password")

    def permit(configure: str, write: str, read: str) -> str:
        rabbitmq.ctl("set_permissions", "-p", vhost, "poor", configure, write, read)
        return str(URL(amqp_url).with_user("poor").with_password("password"))

    return permit


def wrong_password(url: str) -> str:
    return str(URL(url).with_password("wrong"))


def unknown_user(url: str) -> str:
    return str(URL(url).with_user("stranger"))


def missing_virtual_host(url: str) -> str:
    return str(URL(url).with_path("/absent"))


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (wrong_password, "403 ACCESS_REFUSED"),
        (unknown_user, "403 ACCESS_REFUSED"),
        (missing_virtual_host, "530 NOT_ALLOWED - vhost absent not found"),
    ],
)
def test_wrong_address_is_refused_in_one_line(
    run: Run, amqp_url: str, service: str, change: Callable[[str], str], said: str
) -> None:
    ended = run(service, change(amqp_url))
    assert ended.returncode == 2, ended.stderr
    [line] = ended.stderr.splitlines()
    assert line.startswith("BACKCHAT_AMQP_URL: ")
    assert said in line
    assert "password" not in line.lower()
    assert "wrong" not in line


def test_user_without_rights_on_the_virtual_host_is_refused(
    run: Run, rabbitmq: RabbitMQ, poor: Callable[..., str]
) -> None:
    url = poor(".*", ".*", ".*")
    rabbitmq.ctl("clear_permissions", "-p", url.rpartition("/")[2], "poor")
    ended = run("chat_gateway", url)
    assert ended.returncode == 2, ended.stderr
    [line] = ended.stderr.splitlines()
    assert line.startswith("BACKCHAT_AMQP_URL: 530 NOT_ALLOWED - access to vhost")


@pytest.mark.parametrize(
    ("rights", "missing"),
    [(("", ".*", ".*"), "configure"), ((".*", "", ".*"), "write"), ((".*", ".*", ""), "read")],
    ids=["configure", "write", "read"],
)
def test_missing_right_is_named(run: Run, poor: Callable[..., str], rights: tuple[str, str, str], missing: str) -> None:
    url = poor(*rights)
    for service in SERVICES:
        ended = run(service, url)
        assert ended.returncode == 2, (service, ended.stderr)
        [line] = ended.stderr.splitlines()
        assert line.startswith("BACKCHAT_AMQP_URL: 403 ACCESS_REFUSED")
        assert line.endswith(f"the right {missing} is missing")


async def test_limit_of_connections_is_no_wrong_address(rabbitmq: RabbitMQ, amqp_url: str) -> None:
    vhost = amqp_url.rpartition("/")[2]
    rabbitmq.ctl("set_vhost_limits", "-p", vhost, '{"max-connections": 0}')
    assert await refusal(amqp_url, [LOG]) is None


async def test_broker_that_is_away_is_no_wrong_address() -> None:
    assert await refusal(f"amqp://127.0.0.1:{free_port()}/", [LOG]) is None


async def test_check_of_the_right_to_publish_publishes_nothing(amqp_url: str) -> None:
    """Also not to a queue that takes every key of a topic exchange."""
    async with RabbitMQBus(amqp_url, name="tests", registry=CollectorRegistry()) as bus:
        audit = Queue("audit", "quorum", ((ACCOUNTS, "#"),))
        await bus.declare([ACCOUNTS], [audit])
        assert await refusal(amqp_url, [ACCOUNTS]) is None
        event = note(1)
        await bus.publish(ACCOUNTS, "user.renamed", event)
        batch = await (await bus.subscribe(audit, prefetch=10)).take()
        assert [each.id for delivery in batch.deliveries for each in read_body(delivery.body)] == [event.id]


async def test_one_good_node_of_several_is_enough(amqp_url: str) -> None:
    nodes = f"{missing_virtual_host(amqp_url)},{amqp_url}"
    assert await refusal(nodes, [LOG, ACCOUNTS, DELIVERY]) is None
    assert await refusal(missing_virtual_host(amqp_url)) is not None


async def test_certificate_that_is_missing_is_refused(tmp_path: Path) -> None:
    url = f"amqps://127.0.0.1:{free_port()}/?cafile={tmp_path / 'absent.pem'}"
    assert str(tmp_path / "absent.pem") in str(await refusal(url))


async def test_plain_port_behind_amqps_is_refused(amqp_url: str) -> None:
    assert str(await refusal(str(URL(amqp_url).with_scheme("amqps")))).startswith("TLS failed: ")


async def test_later_refusals_have_the_reply_code_in_the_log(amqp_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = ""

    def logged() -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return "530 NOT_ALLOWED - vhost absent not found" in said

    async with RabbitMQBus(missing_virtual_host(amqp_url), name="test"):
        await until(logged)
