"""The composed stack, controlled by `docker compose` as an operator does."""

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
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0  # seconds for one command
LISTED_WITHIN = 30.0  # seconds from a change of the chatbot file until the chatbots are listed
LASTING = ("postgres", "rabbitmq", "auth_service", "persistence_worker", "chatbot_worker", "chat_gateway", "edge")


class Composition:
    """A running project of `docker-compose.yml`, on the engine of the environment."""

    def __init__(self, name: str) -> None:
        self.name = name

    def compose(self, *arguments: str, patience: float = PATIENCE, variables: Mapping[str, str] | None = None) -> str:
        """Run `docker compose …` and return its standard output. `variables` override those of the `.env` file.

        Raises:
            RuntimeError: it failed; with its error output.
        """
        return self._run(["docker", "compose", "--project-name", self.name, *arguments], patience, variables)

    def docker(self, *arguments: str, patience: float = PATIENCE) -> str:
        """Run `docker …` and return its standard output."""
        return self._run(["docker", *arguments], patience)

    def containers(self, service: str, *, number: str = "", state: str = "") -> list[str]:
        """Return the container ids of a service, sorted by name: all, the one with a number, or those in a state."""
        found = sorted(self.states(service), key=lambda each: str(each["Name"]))
        if number:
            found = [each for each in found if each["Name"].endswith(f"-{number}")]
        return [each["ID"] for each in found if state in ("", each["State"])]

    def states(self, *services: str) -> list[dict[str, Any]]:
        """Return the output of `docker compose ps` for all containers, or those of some services."""
        listed = self.compose("ps", "--all", "--format", "json", *services)
        return [json.loads(line) for line in listed.splitlines() if line.strip()]

    def versions(self) -> dict[str, str]:
        """Return the images by service."""
        return {state["Service"]: state["Image"] for state in self.states()}

    def networks(self, container: str) -> Mapping[str, Sequence[str]]:
        """Return the networks of a container, each with its aliases."""
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
    """The composed stack behind its edge, whose settings can be changed and whose containers can be killed."""

    def __init__(self, directory: Path, url: str, composition: Composition) -> None:
        super().__init__(directory, url)
        self.composition = composition
        self._variables: dict[str, str] = {}
        self._complete = True

    @contextmanager
    def changed(self, settings: Mapping[str, str]) -> Iterator[None]:
        """Add settings (without the prefix) for the time of a `with` block."""
        before = self._variables
        self._variables = before | {f"BACKCHAT_{name}": value for name, value in settings.items()}
        try:
            self._up()
            yield
        finally:
            self._variables = before
            self._up()

    def wait_for_chatbot(self, chatbot: str) -> None:
        """Wait until a chatbot is listed. In a separate event loop, since Playwright may have one in this thread."""
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, self._listed(chatbot)).result()

    async def _listed(self, chatbot: str) -> None:
        account = await new_account(self.auth_url)
        async with Device(self.auth_url, account.token) as device:

            async def listed() -> bool:
                return chatbot in [each["id"] for each in (await device.ok("list_chatbots"))["chatbots"]]

            await until(listed, LISTED_WITHIN, every=0.2)

    def crash(self, part: str = "") -> None:
        """Kill all containers of a service, or of the stack, at once."""
        self._complete = False
        self.composition.compose("kill", *([part] if part else []))

    def start_now(self) -> None:
        """Start killed containers; returns when all are healthy."""
        if not self._complete:
            self._up()

    def _up(self) -> None:
        how = ("--detach", "--no-deps", "--wait", "--wait-timeout", "150")
        self.composition.compose("up", *how, *LASTING, variables=self._variables)
        self._complete = True
