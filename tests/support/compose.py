"""The composed stack, driven through `docker compose` as an operator does."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0  # seconds for one command


class Composition:
    """A running project of `docker-compose.yml`, on the engine that the environment names."""

    def __init__(self, name: str) -> None:
        self.name = name

    def compose(self, *arguments: str, patience: float = PATIENCE) -> str:
        """`docker compose …`; its standard output.

        Raises:
            RuntimeError: it failed; with what it said.
        """
        return self._run(["docker", "compose", "--project-name", self.name, *arguments], patience)

    def docker(self, *arguments: str, patience: float = PATIENCE) -> str:
        """`docker …`; its standard output."""
        return self._run(["docker", *arguments], patience)

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers that were made to run, running or not, by name."""
        listed = self.compose("ps", "--all", "--format", "json", service)
        found = [json.loads(line) for line in listed.splitlines() if line.strip()]
        return [each["ID"] for each in sorted(found, key=lambda each: each["Name"])]

    def states(self) -> list[dict[str, Any]]:
        """What Compose says of every container."""
        listed = self.compose("ps", "--all", "--format", "json")
        return [json.loads(line) for line in listed.splitlines() if line.strip()]

    def versions(self) -> dict[str, str]:
        """The images that run, by service."""
        return {state["Service"]: state["Image"] for state in self.states()}

    def networks(self, container: str) -> Mapping[str, Sequence[str]]:
        """The networks that a container is attached to, each with its aliases there."""
        [found] = json.loads(self.docker("inspect", container))
        return {name: network["Aliases"] or [] for name, network in found["NetworkSettings"]["Networks"].items()}

    def _run(self, command: list[str], patience: float) -> str:
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=patience, check=False)
        if ended.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit code {ended.returncode}\n{ended.stderr[-2000:]}")
        return ended.stdout
