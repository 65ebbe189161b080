"""The commands for operators, on fakes."""

import argparse
import getpass
import io
import sys
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import pytest

from auth_service import user_command
from auth_service.user_command import CommandError
from tests.unit.auth_service.fakes import MemoryStore, PlainHasher

GOOD = "correct horse"
Run = Callable[..., Awaitable[str]]


class Log:
    """Records calls with their user; only Alice exists."""

    def __init__(self) -> None:
        self.done: list[tuple[str, object]] = []

    async def disable(self, user_id: str, now: datetime) -> bool:
        return self._note(user_id, "disable", None)

    async def enable(self, user_id: str, now: datetime) -> bool:
        return self._note(user_id, "enable", None)

    async def set_roles(self, user_id: str, roles: Sequence[str], now: datetime) -> bool:
        return self._note(user_id, "roles", tuple(roles))

    async def set_passcode(self, user_id: str, passcode_hash: str, now: datetime) -> bool:
        return self._note(user_id, "passcode", passcode_hash)

    def _note(self, user_id: str, what: str, how: object) -> bool:
        if user_id == "alice":
            self.done.append((what, how))
        return user_id == "alice"


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def users() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def run(log: Log, users: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line with a standard input."""

    async def run(*arguments: str, typed: str = "") -> str:
        parser = argparse.ArgumentParser()
        user_command.add_arguments(parser)
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        return await user_command.run(parser.parse_args(arguments), store=log, users=users, hasher=PlainHasher())

    return run


async def test_created_account_gets_the_passcode_of_standard_input(run: Run, users: MemoryStore) -> None:
    await run("create", "Alice", "--role", "admin", typed=f"{GOOD}\nnot this line")
    assert (users.users["alice"].roles, users.users["alice"].passcode_hash) == (("user", "admin"), f"1:{GOOD}")
    with pytest.raises(CommandError, match="alice is taken"):
        await run("create", "alice", typed=GOOD)


@pytest.mark.parametrize(
    ("arguments", "typed", "why"),
    [
        (("create", "eve"), "password1", "most common"),
        (("create", "eve"), "", "8 to 128"),
        (("create", "no id"), GOOD, "the id must"),
        (("reset-passcode", "alice"), "short", "8 to 128"),
        (("disable", "nobody"), "", "no user nobody"),
        (("set-role", "nobody", "--role", "admin"), "", "no user nobody"),
    ],
)
async def test_refused_command_prints_the_reason(
    run: Run, log: Log, arguments: tuple[str, ...], typed: str, why: str
) -> None:
    with pytest.raises(CommandError, match=why):
        await run(*arguments, typed=typed)
    assert not log.done


async def test_command_calls_its_use_case(run: Run, log: Log) -> None:
    await run("disable", "ALICE")
    await run("enable", "alice")
    await run("set-role", "alice", "--role", "user")
    await run("reset-passcode", "alice", typed=GOOD)
    assert log.done == [("disable", None), ("enable", None), ("roles", ("user",)), ("passcode", f"1:{GOOD}")]


def test_typed_passcode_is_asked_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([GOOD, GOOD, GOOD, "another horse"])
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", terminal)
    monkeypatch.setattr(getpass, "getpass", lambda _prompt: next(answers))
    assert user_command.read_passcode() == GOOD
    with pytest.raises(CommandError, match="differ"):
        user_command.read_passcode()


@pytest.mark.parametrize("arguments", [(), ("create",), ("set-role", "alice"), ("create", "alice", "--passcode", "x")])
async def test_passcode_is_not_accepted_as_an_argument(run: Run, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit):
        await run(*arguments)
