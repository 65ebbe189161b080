"""Prometheus sees every process, and the dashboard asks for nothing that is not there."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.compose.operating import Operator
from tests.support.client import Device, new_account
from tests.support.compose import ROOT

FOLDER = ROOT / "deploy" / "observability"
PATIENCE = 60.0  # seconds; it looks every ten
PROCESSES = 9  # one auth, two of each other service, RabbitMQ twice: all together, and queue by queue


@pytest.fixture
def prometheus(changing: Operator) -> Iterator[Operator]:
    """The stack with Prometheus."""
    changing.run("docker compose up --detach --wait prometheus")
    yield changing
    changing.run("docker compose rm --stop --force --volumes prometheus")


def ask(operator: Operator, path: str) -> Any:
    """What Prometheus answers."""
    address = f"http://127.0.0.1:9090/api/v1/{path}"
    answer = operator.run(f"docker compose exec -T prometheus wget -q -O - '{address}'")
    return json.loads(answer)["data"]


def expressions() -> list[str]:
    """What the dashboard asks for."""
    panels = json.loads((FOLDER / "backchat.json").read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


async def test_every_expression_of_the_dashboard_finds_what_it_names(prometheus: Operator, url: str) -> None:
    account = await new_account(url)
    async with Device(url, account.token) as device:
        session = await device.start_chat("echo")
        await device.reply_to(await device.send(session, "to be counted"))
    prometheus.run("docker compose exec -T prometheus promtool check config /etc/prometheus/prometheus.yml")
    wanted = {name for each in expressions() for name in re.findall(r"\b(?:backchat|rabbitmq|process)_\w+", each)}
    assert len(wanted) > 10
    deadline = time.monotonic() + PATIENCE
    while True:
        targets = ask(prometheus, "targets?state=active")["activeTargets"]
        # Described is enough: what counts mishaps has no value until there is one.
        known = {*ask(prometheus, "label/__name__/values"), *ask(prometheus, "metadata")}
        well = [target for target in targets if target["health"] == "up"]
        if (wanted <= known and len(well) == PROCESSES) or time.monotonic() > deadline:
            break
        await asyncio.sleep(1)
    assert len(well) == PROCESSES, [(target["scrapeUrl"], target["lastError"]) for target in targets]
    assert wanted <= known, f"never seen: {sorted(wanted - known)}"
    for each in expressions():
        assert ask(prometheus, f"query?query={quote(each)}")["resultType"] in ("vector", "matrix"), each


def test_grafana_finds_its_files(operator: Operator) -> None:
    """As far as it goes without one: sources, folders and files are named alike everywhere."""
    grafana = json.loads(operator.run("docker compose --profile observability config --format json"))["services"][
        "grafana"
    ]
    mounts = {mount["target"]: mount["source"] for mount in grafana["volumes"]}
    dashboards = (FOLDER / "dashboards.yml").read_text()
    [folder] = re.findall(r"path: (\S+)", dashboards)
    assert mounts[f"{folder}/backchat.json"] == str(FOLDER / "backchat.json")
    assert {
        "/etc/grafana/provisioning/datasources/backchat.yml",
        "/etc/grafana/provisioning/dashboards/backchat.yml",
    } <= set(mounts)
    source = (FOLDER / "datasource.yml").read_text()
    [uid] = re.findall(r"uid: (\S+)", source)
    panels = json.loads((FOLDER / "backchat.json").read_text())["panels"]
    assert {panel["datasource"]["uid"] for panel in panels if panel["type"] != "row"} == {uid}
    assert [port["host_ip"] for port in grafana["ports"]] == ["127.0.0.1"]
