"""Rights and limits of each container, and the addresses that are reachable from outside."""

from __future__ import annotations

from itertools import chain
from typing import Any

import httpx2

from tests.compose.operating import Operator

OURS = ("auth_service", "chat_gateway", "persistence_worker", "chatbot_worker")
THEIRS = ("edge", "rabbitmq", "postgres")
REPLICAS = {"chat_gateway": 2, "persistence_worker": 2, "chatbot_worker": 2}


def test_every_service_has_its_replicas_and_is_healthy(operator: Operator) -> None:
    found = {service: operator.containers(service) for service in (*OURS, *THEIRS)}
    assert {service: len(containers) for service, containers in found.items()} == {
        service: REPLICAS.get(service, 1) for service in found
    }
    states = [operator.inspect(container)["State"] for container in chain(*found.values())]
    assert {state["Health"]["Status"] for state in states} == {"healthy"}


def test_our_services_run_without_privileges(operator: Operator) -> None:
    for service in OURS:
        for container in operator.containers(service):
            found = operator.inspect(container)
            host = found["HostConfig"]
            assert found["Config"]["User"] == "10001:10001"
            assert host["ReadonlyRootfs"]
            assert host["CapDrop"] == ["ALL"]
            assert "no-new-privileges:true" in host["SecurityOpt"]
            assert host["Memory"] > 0
            assert host["NanoCpus"] > 0
            assert secrets_of(found) == [SECRETS[service]], service


def test_only_the_edge_publishes_ports_and_all_containers_have_limits(operator: Operator) -> None:
    published = set()
    for service in (*OURS, *THEIRS):
        for container in operator.containers(service):
            found = operator.inspect(container)
            published |= {service for bindings in found["NetworkSettings"]["Ports"].values() if bindings}
            assert found["HostConfig"]["Memory"] > 0, service
            assert found["HostConfig"]["LogConfig"]["Config"]["max-size"], service
    assert published == {"edge"}


def test_operator_endpoints_are_not_reachable_from_outside(url: str) -> None:
    with httpx2.Client(base_url=url) as http:
        assert {http.get(path).status_code for path in ("/healthz", "/readyz", "/metrics", "/internal/x")} == {404}
        page = http.get("/chat/")
        assert page.status_code == 200
        assert "Strict-Transport-Security" not in page.headers, "the edge serves plain HTTP here"


def test_worker_refuses_another_number_of_partitions_than_stored(operator: Operator) -> None:
    command = "docker compose run --rm --no-deps -T persistence_worker 2>&1"
    output = operator.run(f"code=0; {command} || code=$?; echo exit code $code", BACKCHAT_PARTITIONS="7")
    assert "BACKCHAT_PARTITIONS: " in output
    assert output.splitlines()[-1] == "exit code 2"


SECRETS = {
    "auth_service": "secrets-auth",
    "chat_gateway": "secrets-gateway",
    "persistence_worker": "secrets-persistence",
    "chatbot_worker": "secrets-chatbot",
}


def secrets_of(found: dict[str, Any]) -> list[str]:
    """Return the secret volumes of a container, without the project name."""
    names = [mount.get("Name", "").partition("_")[2] for mount in found["Mounts"]]
    return sorted(name for name in names if name.startswith("secrets"))
