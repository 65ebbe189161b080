"""Stacks that the end-to-end tests of one process share: starting one takes seven interpreters."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import Fresh
from tests.support.stack import DistributedStack, EmbeddedStack, Stack

MADE_HERE = ("embedded", "distributed")


@dataclass(slots=True)
class Entry:
    """A stack, and the database and vhost that it uses."""

    stack: Stack
    resources: ExitStack = field(default_factory=ExitStack)

    def discard(self) -> None:
        """Kill the stack and remove its data."""
        self.stack.close()
        self.resources.close()


class StackPool:
    """Starts a stack when a test first needs it, and keeps it running for later tests."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._entries: dict[tuple[str, Path | None], Entry] = {}
        self._made = 0

    def get(self, request: pytest.FixtureRequest, kind: str, chatbots: Path | None = None) -> Stack:
        """Return the running stack of a kind, with the built-in chatbots or those of a file.

        Restarts processes that an earlier test has ended; returns when all are ready.
        """
        key = (kind, chatbots)
        if key not in self._entries:
            self._entries[key] = self._make(request, kind, {"CHATBOTS": str(chatbots)} if chatbots else {})
        stack = self._entries[key].stack
        stack.start_now()
        return stack

    def close(self) -> None:
        """Stop all stacks.

        Raises:
            AssertionError: a process did not stop cleanly.
        """
        try:
            for entry in self._entries.values():
                entry.stack.stop_now()
        finally:
            for entry in self._entries.values():
                entry.discard()

    def _make(self, request: pytest.FixtureRequest, kind: str, settings: dict[str, str]) -> Entry:
        self._made += 1
        directory = self._directory / f"{kind}-{self._made}"
        directory.mkdir()
        if kind == "embedded":
            return Entry(EmbeddedStack(directory, settings))
        new_database: Fresh = request.getfixturevalue("new_database")
        new_vhost: Fresh = request.getfixturevalue("new_vhost")
        with ExitStack() as resources:
            urls = {
                "postgresql_url": resources.enter_context(new_database()),
                "amqp_url": resources.enter_context(new_vhost()),
            }
            return Entry(DistributedStack(directory, settings=settings, **urls), resources.pop_all())
