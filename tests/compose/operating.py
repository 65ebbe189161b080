"""Operator of the composed stack: runs the commands of the how-to, and inspects containers."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.support.compose import ROOT, Composition

HOW_TO = ROOT / "docs" / "how-to" / "run-on-a-server.md"
PATIENCE = 400.0  # seconds for one block of commands
READ = "import sys, urllib.request as r; sys.stdout.write(r.urlopen(sys.argv[1], timeout=5).read().decode())"


def blocks(section: str) -> list[str]:
    """Return the code blocks of one section of the how-to, verbatim.

    Raises:
        KeyError: the section does not exist, or has no code block.
    """
    sections = re.split(r"^## (.+)$", HOW_TO.read_text(encoding="utf-8"), flags=re.MULTILINE)
    text = dict(zip(sections[1::2], sections[2::2], strict=True))[section]
    found = re.findall(r"^```\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    if not found:
        raise KeyError(f"no commands under {section!r}")
    return found


class Operator(Composition):
    """Runs commands in a separate directory, which receives the files that they write."""

    def __init__(self, name: str, directory: Path) -> None:
        super().__init__(name)
        self.directory = directory

    def run(self, script: str, **variables: str) -> str:
        """Run a script with additional environment variables, and return its standard output.

        Raises:
            AssertionError: it failed; with its error output.
        """
        script = script.replace("deploy/", f"{ROOT}/deploy/")
        environment = {**os.environ, "COMPOSE_FILE": str(ROOT / "docker-compose.yml"), **variables}  # noqa: TID251
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ended.returncode == 0, f"{script}\n{ended.stderr[-3000:]}"
        return ended.stdout

    def inspect(self, container: str) -> dict[str, Any]:
        """Return the output of `docker inspect` for a container."""
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", container))
        return found[0]

    def metrics(self, container: str) -> str:
        """Return the metrics of one of our containers."""
        return self.docker("exec", container, "python", "-c", READ, "http://127.0.0.1:8000/metrics")
