"""The operators' commands on accounts: `python -m auth_service user …`.

A passcode is read from a prompt or from the first line of standard input, never from the arguments, which every user of
the machine can read.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from auth_service.domain import passcodes
from auth_service.domain.users import ADMIN, ROLES, User, parse_new_user_id, parse_user_id
from shared.contracts.payload import utc_now

ROLE_SETS = {"user": ROLES, "admin": ADMIN}


class CommandError(Exception):
    """The command failed; the message is the reason."""


class Store(Protocol):
    """Changes stored accounts. Each call returns whether the user exists, and may raise `Unavailable`."""

    async def disable(self, user_id: str, now: datetime) -> bool:
        """Revoke the logins of an account and refuse new ones."""

    async def enable(self, user_id: str, now: datetime) -> bool:
        """Allow logins to an account again."""

    async def set_roles(self, user_id: str, roles: Sequence[str], now: datetime) -> bool:
        """Change the roles of an account and revoke its logins."""

    async def set_passcode(self, user_id: str, passcode_hash: str, now: datetime) -> bool:
        """Replace the passcode of an account and revoke its logins."""


class Users(Protocol):
    """The stored accounts."""

    async def add_user(self, user: User, passcode_hash: str) -> bool:
        """Store an account; return `False` if the id is taken."""


class Hasher(Protocol):
    """Computes slow hashes."""

    async def hash(self, passcode: str) -> str:
        """Return the hash to store."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands of `user`."""
    commands = parser.add_subparsers(dest="action", required=True)
    create = commands.add_parser("create", help="create an account; prompts for the passcode")
    create.add_argument("--role", choices=sorted(ROLE_SETS), default="user")
    commands.add_parser("disable", help="end all logins of an account and refuse new ones")
    commands.add_parser("enable", help="allow logins to an account again")
    role = commands.add_parser("set-role", help="change the role of an account and end its logins")
    role.add_argument("--role", choices=sorted(ROLE_SETS), required=True)
    commands.add_parser(
        "reset-passcode", help="replace the passcode of an account and end its logins; prompts for the passcode"
    )
    for command in commands.choices.values():
        command.add_argument("id", help="id of the account")


def read_passcode() -> str:
    """Read a passcode from the terminal, twice, or the first line of piped input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Passcode: ")
    if getpass.getpass("Repeat the passcode: ") != first:
        raise CommandError("the two passcodes differ")
    return first


async def run(chosen: argparse.Namespace, *, store: Store, users: Users, hasher: Hasher) -> str:
    """Run one command and return the message for the operator.

    Raises:
        CommandError: the command failed.
        Unavailable: the database is away.
    """
    try:
        user_id = parse_new_user_id(chosen.id) if chosen.action == "create" else parse_user_id(chosen.id)
    except ValueError as error:
        raise CommandError(f"the id {error}") from None
    if chosen.action == "create":
        user = User(user_id, utc_now(), ROLE_SETS[chosen.role])
        if not await users.add_user(user, await hasher.hash(_checked(read_passcode(), user_id))):
            raise CommandError(f"the id {user_id} is taken")
        return f"{user_id} created as {chosen.role}"
    if not await _changed(chosen, user_id, store, hasher):
        raise CommandError(f"there is no user {user_id}")
    return f"{user_id}: {chosen.action} done; all logins have ended"


async def _changed(chosen: argparse.Namespace, user_id: str, store: Store, hasher: Hasher) -> bool:
    now = utc_now()
    if chosen.action == "disable":
        return await store.disable(user_id, now)
    if chosen.action == "enable":
        return await store.enable(user_id, now)
    if chosen.action == "set-role":
        return await store.set_roles(user_id, ROLE_SETS[chosen.role], now)
    return await store.set_passcode(user_id, await hasher.hash(_checked(read_passcode(), user_id)), now)


def _checked(raw: str, user_id: str) -> str:
    try:
        passcode = passcodes.normalised(raw)
    except ValueError as error:
        raise CommandError(f"the passcode {error}") from None
    if passcodes.is_weak(passcode, user_id):
        raise CommandError("the passcode is one of the most common ones")
    return passcode
