"""The operators' commands on services: `python -m auth_service service …`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID, uuid4

from auth_service.crypto import service_keys
from auth_service.domain.services import SCOPES, Service, ServiceKey, UnknownScope, granted_scopes
from auth_service.domain.users import parse_new_user_id, parse_user_id
from auth_service.user_command import CommandError
from shared.contracts.payload import rfc3339, utc_now

DAYS_MAX = 36_500.0
DESCRIPTION = "manage services, which authenticate by a key"


class Store(Protocol):
    """Changes stored services. Each call is one transaction and may raise `Unavailable`."""

    async def create(self, service: Service, key: ServiceKey) -> bool:
        """Store a service with its first key; return `False` if the name is taken."""

    async def add_key(self, name: str, key_id: str, key_hash: bytes, now: datetime) -> bool | None:
        """Store another key; return `False` if two are valid, and `None` if there is no such active service."""

    async def all_services(self) -> list[tuple[Service, list[ServiceKey]]]:
        """Return every service with its keys, the oldest first."""

    async def revoke(self, name: str, now: datetime) -> bool:
        """Revoke a service, its keys and the logins that it lends; return `False` if no such service is active."""

    async def revoke_key(self, name: str, key_id: str, now: datetime) -> bool:
        """Revoke one key; return `False` if the service has no such key that is not revoked."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands of `service`."""
    commands = parser.add_subparsers(dest="action", required=True)
    create = commands.add_parser("create", help="create a service and print its first key, which is not shown again")
    create.add_argument("name", help="name of the service, formed like the id of an account")
    create.add_argument(
        "--scope", nargs="+", action="extend", required=True, metavar="SCOPE", help=f"of {', '.join(SCOPES)}"
    )
    create.add_argument(
        "--expires-in", type=float, metavar="DAYS", help="days until a key of this service expires (default: never)"
    )
    rotate = commands.add_parser("rotate", help="print a second key; the first one stays valid until it is revoked")
    rotate.add_argument("name", help="name of the service")
    commands.add_parser("list", help="list the services and the ids of their keys")
    revoke = commands.add_parser("revoke", help="end a service, or one of its keys, with all tokens and connections")
    revoke.add_argument("name", help="name of the service")
    revoke.add_argument("--key", metavar="ID", help="id of the key; without it the service ends permanently")


async def run(chosen: argparse.Namespace, store: Store) -> str:
    """Run one command and return the message for the operator; a new key is alone on its last line.

    Raises:
        CommandError: the command failed.
        Unavailable: the database is away.
    """
    if chosen.action == "list":
        return _table(await store.all_services())
    try:
        name = parse_new_user_id(chosen.name) if chosen.action == "create" else parse_user_id(chosen.name)
    except ValueError as error:
        raise CommandError(f"the name {error}") from None
    if chosen.action == "create":
        return await _create(chosen, name, store)
    if chosen.action == "rotate":
        return await _rotate(name, store)
    return await _revoke(chosen, name, store)


async def _create(chosen: argparse.Namespace, name: str, store: Store) -> str:
    try:
        scopes = granted_scopes(chosen.scope, SCOPES)
    except UnknownScope:
        raise CommandError(f"a scope is not available in this release; there is {', '.join(SCOPES)}") from None
    now, key, lifetime = utc_now(), service_keys.new_key(), _lifetime(chosen.expires_in)
    service = Service(name, scopes, now, lifetime)
    first = ServiceKey(str(uuid4()), name, service_keys.digest(key), now, None if lifetime is None else now + lifetime)
    if not await store.create(service, first):
        raise CommandError(f"the name {name} is or was taken by a service; names are never assigned again")
    return f"{service.id} created with {' '.join(scopes)}; its key {first.id} is not shown again:\n{key}"


def _lifetime(days: float | None) -> timedelta | None:
    if days is None:
        return None
    if not 0.0 < days <= DAYS_MAX:  # also refuses NaN
        raise CommandError(f"--expires-in must be more than 0 and at most {DAYS_MAX:g} days")
    return timedelta(seconds=max(1, round(days * 86_400)))


async def _rotate(name: str, store: Store) -> str:
    key, key_id = service_keys.new_key(), str(uuid4())
    added = await store.add_key(name, key_id, service_keys.digest(key), utc_now())
    if added is None:
        raise CommandError(f"there is no service {name}")
    if not added:
        raise CommandError(f"{name} has two valid keys; revoke one first: service revoke {name} --key ID")
    return f"service:{name}: key {key_id} added, and not shown again; revoke the other one when it is unused:\n{key}"


async def _revoke(chosen: argparse.Namespace, name: str, store: Store) -> str:
    if chosen.key is None:
        if not await store.revoke(name, utc_now()):
            raise CommandError(f"there is no service {name}")
        return f"service:{name} revoked; its tokens, connections and lent logins have ended"
    try:
        key_id = str(UUID(chosen.key))
    except ValueError:  # the value may be a key, so it is not repeated
        raise CommandError("--key takes the id of a key, as `service list` shows it") from None
    if not await store.revoke_key(name, key_id, utc_now()):
        raise CommandError(f"{name} has no key {key_id} that is not revoked")
    return f"service:{name}: key {key_id} revoked; its tokens and connections have ended"


def _table(found: Sequence[tuple[Service, list[ServiceKey]]]) -> str:
    now, lines = utc_now(), []
    for service, keys in found:
        state = "revoked" if service.revoked_at else "active"
        lines.append(f"{service.id}\t{state}\t{' '.join(service.scopes)}\tcreated {rfc3339(service.created_at)}")
        for key in keys:
            until = "does not expire" if key.expires_at is None else f"expires {rfc3339(key.expires_at)}"
            lines.append(f"  key {key.id}\t{_state(key, now)}\tcreated {rfc3339(key.created_at)}\t{until}")
    return "\n".join(lines) if lines else "there are no services"


def _state(key: ServiceKey, now: datetime) -> str:
    if key.revoked_at:
        return "revoked"
    return "valid" if key.is_valid(now) else "expired"
