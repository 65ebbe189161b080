"""The composed stack, driven through `docker compose` as an operator does."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.client import Device, new_account
from tests.support.given_stack import GivenStack

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0  # seconds for one command
LISTED_WITHIN = 30.0  # seconds from a change of the chatbots' file until they are listed
LASTING = ("postgres", "rabbitmq", "auth_service", "persistence_worker", "chatbot_worker", "chat_gateway", "edge")


class Composition:
    """A running project of `docker-compose.yml`, on the engine that the environment names."""

    def __init__(self, name: str) -> None:
        self.name = name

    def compose(self, *arguments: str, patience: float = PATIENCE, variables: Mapping[str, str] | None = None) -> str:
        """`docker compose …`, with these variables before those of its `.env`; its standard output.

        Raises:
            RuntimeError: it failed; with what it said.
        """
        return self._run(["docker", "compose", "--project-name", self.name, *arguments], patience, variables)

    def docker(self, *arguments: str, patience: float = PATIENCE) -> str:
        """`docker …`; its standard output."""
        return self._run(["docker", *arguments], patience)

    def containers(self, service: str, *, number: str = "", state: str = "") -> list[str]:
        """The ids of a service's containers that were made to run, by name: all, or one by its number, or those in a state."""
        found = sorted(self.states(service), key=lambda each: str(each["Name"]))
        if number:
            found = [each for each in found if each["Name"].endswith(f"-{number}")]
        return [each["ID"] for each in found if state in ("", each["State"])]

    def states(self, *services: str) -> list[dict[str, Any]]:
        """What Compose says of every container, or of those of some services."""
        listed = self.compose("ps", "--all", "--format", "json", *services)
        return [json.loads(line) for line in listed.splitlines() if line.strip()]

    def versions(self) -> dict[str, str]:
        """The images that run, by service."""
        return {state["Service"]: state["Image"] for state in self.states()}

    def networks(self, container: str) -> Mapping[str, Sequence[str]]:
        """The networks that a container is attached to, each with its aliases there."""
        [found] = json.loads(self.docker("inspect", container))
        return {name: network["Aliases"] or [] for name, network in found["NetworkSettings"]["Networks"].items()}

    def _run(self, command: list[str], patience: float, variables: Mapping[str, str] | None = None) -> str:
        environment = {**os.environ, **(variables or {})}  # noqa: TID251 - the engine's and Compose's own variables
        ended = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=patience, check=False
        )
        if ended.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit code {ended.returncode}\n{ended.stderr[-2000:]}")
        return ended.stdout


class ComposedStack(GivenStack):
    """The composed stack behind its edge: it can have other settings for a while, and its containers can be killed."""

    def __init__(self, directory: Path, url: str, composition: Composition) -> None:
        super().__init__(directory, url)
        self.composition = composition
        self._variables: dict[str, str] = {}
        self._is_whole = True

    @contextmanager
    def changed(self, settings: Mapping[str, str]) -> Iterator[None]:
        """Settings of its `.env`, less the prefix, on top of what it has; afterwards it is as it was."""
        before = self._variables
        self._variables = before | {f"BACKCHAT_{name}": value for name, value in settings.items()}
        try:
            self._up()
            yield
        finally:
            self._variables = before
            self._up()

    def wait_for_chatbot(self, chatbot: str) -> None:
        """Wait until there is such a chatbot, in a loop of its own: Playwright's may run in this thread."""
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, self._listed(chatbot)).result()

    async def _listed(self, chatbot: str) -> None:
        account = await new_account(self.auth_url)
        async with Device(self.auth_url, account.token) as device, asyncio.timeout(LISTED_WITHIN):
            while chatbot not in [each["id"] for each in (await device.ok("list_chatbots"))["chatbots"]]:  # noqa: ASYNC110
                await asyncio.sleep(0.2)

    def crash(self, part: str = "") -> None:
        """Kill all containers of a service, or every container, at once."""
        self._is_whole = False
        self.composition.compose("kill", *([part] if part else []))

    def start_now(self) -> None:
        """Start what was killed; returns when everything is healthy."""
        if not self._is_whole:
            self._up()

    def _up(self) -> None:
        how = ("--detach", "--no-deps", "--wait", "--wait-timeout", "150")
        self.composition.compose("up", *how, *LASTING, variables=self._variables)
        self._is_whole = True
