"""Prometheus scrapes every process, and every metric of the dashboard exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.compose.operating import Operator
from tests.support.client import Device, new_account
from tests.support.compose import ROOT
from tests.support.waiting import until

FOLDER = ROOT / "deploy" / "observability"
PATIENCE = 60.0  # seconds; the scrape interval is ten
PROCESSES = 9  # one auth service, two replicas of three services, and two metrics pages of RabbitMQ


@pytest.fixture
def prometheus(changing: Operator) -> Iterator[Operator]:
    """The stack with Prometheus."""
    changing.run("docker compose up --detach --wait prometheus")
    yield changing
    changing.run("docker compose rm --stop --force --volumes prometheus")


def ask(operator: Operator, path: str) -> Any:
    """Return the data of an API answer of Prometheus."""
    address = f"http://127.0.0.1:9090/api/v1/{path}"
    answer = operator.run(f"docker compose exec -T prometheus wget -q -O - '{address}'")
    return json.loads(answer)["data"]


def expressions() -> list[str]:
    """Return the expressions of the dashboard."""
    panels = json.loads((FOLDER / "backchat.json").read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


async def test_every_dashboard_expression_finds_its_metrics(prometheus: Operator, url: str) -> None:
    account = await new_account(url)
    async with Device(url, account.token) as device:
        session = await device.start_chat("echo")
        await device.reply_to(await device.send(session, "to be counted"))
    prometheus.run("docker compose exec -T prometheus promtool check config /etc/prometheus/prometheus.yml")
    wanted = {name for each in expressions() for name in re.findall(r"\b(?:backchat|rabbitmq|process)_\w+", each)}
    assert len(wanted) > 10

    def scraped() -> bool:
        targets = ask(prometheus, "targets?state=active")["activeTargets"]
        # Metadata is enough: a counter of errors has no value before the first error.
        known = {*ask(prometheus, "label/__name__/values"), *ask(prometheus, "metadata")}
        well = [target for target in targets if target["health"] == "up"]
        assert len(well) == PROCESSES, [(target["scrapeUrl"], target["lastError"]) for target in targets]
        assert wanted <= known, f"never seen: {sorted(wanted - known)}"
        return True

    await until(scraped, PATIENCE, every=1.0)
    for each in expressions():
        assert ask(prometheus, f"query?query={quote(each)}")["resultType"] in ("vector", "matrix"), each


def test_grafana_files_match_their_mounts(operator: Operator) -> None:
    """Checked without Grafana: data source, folders and files have the same names everywhere."""
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
