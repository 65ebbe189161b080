"""The operators' commands on accounts: `python -m auth_service user …`.

A passcode is read from a prompt, or from the first line of standard input, never from the arguments: everybody on the
machine can read those.
"""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from auth_service.domain import passcodes
from auth_service.domain.users import ADMIN, ROLES, User, parse_user_id
from shared.contracts.payload import utc_now

ROLE_SETS = {"user": ROLES, "admin": ADMIN}


class Refused(Exception):
    """The command cannot be done; the text says why."""


class Store(Protocol):
    """What is done to accounts. Each call tells whether there is such a user, and may raise `Unavailable`."""

    async def disable(self, user_id: str, now: datetime) -> bool:
        """End their logins, and let nobody log in as them."""

    async def enable(self, user_id: str, now: datetime) -> bool:
        """Let them log in again."""

    async def set_roles(self, user_id: str, roles: Sequence[str], now: datetime) -> bool:
        """Give them other roles, and end their logins."""

    async def set_passcode(self, user_id: str, passcode_hash: str, now: datetime) -> bool:
        """Give them another passcode, and end their logins."""


class Users(Protocol):
    """Where a new account goes."""

    async def add_user(self, user: User, passcode_hash: str) -> bool:
        """Whether the id was free."""


class Hasher(Protocol):
    """Slow hashes."""

    async def hash(self, passcode: str) -> str:
        """What to store of a passcode."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The sub-commands of `user`."""
    commands = parser.add_subparsers(dest="action", required=True)
    create = commands.add_parser("create", help="open an account; the passcode is asked for")
    create.add_argument("--role", choices=sorted(ROLE_SETS), default="user")
    commands.add_parser("disable", help="end all logins of an account and allow no new ones")
    commands.add_parser("enable", help="allow logins again")
    role = commands.add_parser("set-role", help="change an account's role; its logins end")
    role.add_argument("--role", choices=sorted(ROLE_SETS), required=True)
    commands.add_parser("reset-passcode", help="give an account another passcode, which is asked for; its logins end")
    for command in commands.choices.values():
        command.add_argument("id", help="the account's id")


def read_passcode() -> str:
    """A passcode as typed, twice, or as piped in."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Passcode: ")
    if getpass.getpass("Again: ") != first:
        raise Refused("the two passcodes differ")
    return first


async def run(chosen: argparse.Namespace, *, store: Store, users: Users, hasher: Hasher) -> str:
    """Do one command; what to tell the operator.

    Raises:
        Refused: it cannot be done.
        Unavailable: the database is away.
    """
    try:
        user_id = parse_user_id(chosen.id)
    except ValueError as error:
        raise Refused(f"the id {error}") from None
    if chosen.action == "create":
        user = User(user_id, utc_now(), ROLE_SETS[chosen.role])
        if not await users.add_user(user, await hasher.hash(_checked(read_passcode(), user_id))):
            raise Refused(f"the id {user_id} is taken")
        return f"{user_id} created as {chosen.role}"
    if not await _changed(chosen, user_id, store, hasher):
        raise Refused(f"there is no user {user_id}")
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
        raise Refused(f"the passcode {error}") from None
    if passcodes.is_weak(passcode, user_id):
        raise Refused("the passcode is among the commonest")
    return passcode
