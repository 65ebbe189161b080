"""Guests: accounts that nobody registered, for a first look. Choosing a passcode makes a guest a user."""

from __future__ import annotations

import secrets
from typing import Protocol

import structlog

from auth_service.domain.credentials import Credentials
from auth_service.domain.users import GUEST, User
from auth_service.use_cases.throttle import Guard
from shared.contracts.payload import utc_now
from shared.errors import NotFound, Unavailable

logger = structlog.get_logger(__name__)


class Users(Protocol):
    """Where a new account goes."""

    async def add_user(self, user: User, passcode_hash: str) -> bool:
        """Whether the id was free."""


class Guests:
    """Lets guests in, where the operator wants it."""

    def __init__(self, *, users: Users, guard: Guard, admitted: bool) -> None:
        self._users = users
        self._guard = guard
        self._admitted = admitted

    async def admit(self, source: str) -> Credentials:
        """A fresh account, with nothing but the login that follows to come back by.

        Raises:
            NotFound: no guests here.
            RateLimited: too many from that address.
            Unavailable: not done.
        """
        if not self._admitted:
            raise NotFound("There are no guests here.")
        await self._guard.guest(source)
        user = User(f"guest-{secrets.token_hex(8)}", utc_now(), GUEST)
        if not await self._users.add_user(user, ""):
            raise Unavailable
        logger.info("guest admitted", user=user.id)
        return Credentials(user.id, user.roles, "", 0)
